"""Each rule lets the right translation pass, and can fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.check_cases import Case, load_cases
from model.check_rules import (
    character_repeat,
    fitting_length,
    names_kept,
    no_loop,
    number_forms,
    numbers_kept,
    phrase_repeat,
    robust,
    same_emails,
    same_placeholders,
    same_urls,
)

KEEPING = {
    "numbers": numbers_kept,
    "names": names_kept,
    "urls": same_urls,
    "emails": same_emails,
    "placeholders": same_placeholders,
}
WORDS = st.lists(st.sampled_from(["ja", "der", "Hund", "schläft"]), min_size=1, max_size=5)


def make_case(text: str, *keep: str, source: str = "en") -> Case:
    target = "de" if source == "en" else "en"
    return Case(category="any", source=source, target=target, text=text, keep=keep)


@pytest.mark.parametrize("case", [case for case in load_cases() if case.category in KEEPING])
def test_a_shipped_case_passes_as_a_copy_and_fails_without_what_it_must_keep(case: Case) -> None:
    rule = KEEPING[case.category]

    assert rule(case, case.text) == []
    assert rule(case, "Etwas ganz anderes.") != []


@pytest.mark.parametrize(
    "translation",
    ["1.250,50 Euro", "1250,50 Euro", "1,250.50 Euro", "1 250,50 Euro", "Euro: 1\u202f250,50."],
)
def test_a_number_may_have_the_marks_of_either_language(translation: str) -> None:
    assert numbers_kept(make_case("1,250.50 euros", "1,250.50"), translation) == []


@pytest.mark.parametrize(
    ("translation", "problems"),
    [
        ("1.250 Euro", ["1,250.50 is missing", "1.250 is not in the source"]),
        ("1.250.50 Euro", ["1,250.50 is missing", "1.250.50 is not in the source"]),
        ("11.250,50 Euro", ["1,250.50 is missing", "11.250,50 is not in the source"]),
        ("1.250,50 Euro und 3 Cent", ["3 is not in the source"]),
        ("1.250,50 und 1.250,50", ["1,250.50: 2 instead of 1"]),
        ("Euro", ["1,250.50 is missing"]),
    ],
)
def test_a_changed_doubled_or_added_number_is_found(translation: str, problems: list[str]) -> None:
    assert numbers_kept(make_case("1,250.50 euros", "1,250.50"), translation) == problems


def test_a_thousands_mark_is_read_in_the_language_of_the_source() -> None:
    case = make_case("1.233 Kilometer", "1.233", source="de")

    assert numbers_kept(case, "1,233 kilometres") == []
    assert numbers_kept(case, "1233 kilometres") == []
    assert numbers_kept(case, "1.2 kilometres") != []


def test_a_year_gets_no_thousands_mark_but_a_larger_number_may() -> None:
    assert numbers_kept(make_case("in 1987", "1987"), "im Jahr 1.987") != []
    assert numbers_kept(make_case("12500 people", "12500"), "12.500 Menschen") == []


def test_a_time_stands_in_any_of_its_accepted_forms_and_in_no_longer_number() -> None:
    case = make_case("at 3 pm", "3|15|drei")

    assert numbers_kept(case, "um 15 Uhr") == []
    assert numbers_kept(case, "Drei Uhr nachmittags") == []
    assert numbers_kept(case, "um 15:30 Uhr") == ["3 is missing", "15:30 is not in the source"]


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from(["en", "de"]))
def test_the_other_languages_way_to_write_a_number_is_among_its_forms(
    whole: int, cents: int, language: str
) -> None:
    english = f"{whole:,}.{cents:02}"
    german = english.translate(str.maketrans(",.", ".,"))
    own, other = (english, german) if language == "en" else (german, english)

    assert other in number_forms(own, language)


def test_a_name_is_a_whole_word_in_one_of_its_forms_as_often_as_in_the_source() -> None:
    case = make_case("Tom and Tom live in Cologne.", "Tom", "Cologne|Köln")

    assert names_kept(case, "Tom und Tom wohnen in Köln, sagt Tom.") == []
    assert names_kept(case, "Tom wohnt in Köln.") == ["Tom: 1 instead of 2"]
    assert names_kept(case, "Tomas und tom wohnen in Kölner Vierteln.") == [
        "Tom is missing",
        "Cologne is missing",
    ]


def test_a_url_is_kept_to_the_last_letter_whatever_punctuation_follows() -> None:
    case = make_case("See https://example.org/a?b=1.")

    assert same_urls(case, "Siehe „https://example.org/a?b=1“!") == []
    assert same_urls(case, "Siehe https://example.org/a?b=12.") == [
        "https://example.org/a?b=1 is missing",
        "https://example.org/a?b=12 is not in the source",
    ]
    assert same_urls(case, "Siehe https: //example.org/a?b=1.") != []
    assert same_urls(make_case("No link."), "Siehe beispiel.de/hilfe.") != []


def test_an_email_address_is_kept_with_its_case() -> None:
    case = make_case("Write to a.b+c@mail.example.org.")

    assert same_emails(case, "An a.b+c@mail.example.org schreiben.") == []
    assert same_emails(case, "An A.b+c@mail.example.org schreiben.") != []


@pytest.mark.parametrize(
    "placeholder",
    [
        "%s",
        "%d",
        "%1$s",
        "%1",
        "%(user)s",
        "{}",
        "{name}",
        "{0}",
        "{{count}}",
        "${HOME}",
        "<br>",
        "&amp;",
    ],
)
def test_a_placeholder_is_kept_once_and_unbroken(placeholder: str) -> None:
    case = make_case(f"The value {placeholder} is wrong.")

    assert same_placeholders(case, f"Der Wert {placeholder} ist falsch.") == []
    assert same_placeholders(case, "Der Wert ist falsch.") == [f"{placeholder} is missing"]
    broken = f"{placeholder[:-1]} {placeholder[-1]}"
    assert same_placeholders(case, f"Der Wert {broken} ist falsch.") != []
    doubled = f"{placeholder} {placeholder}"
    assert same_placeholders(case, doubled) == [f"{placeholder}: 2 instead of 1"]


def test_a_tag_is_closed_after_it_was_opened() -> None:
    case = make_case("Click <b>Save</b>.")

    assert same_placeholders(case, "<b>Speichern</b> anklicken.") == []
    assert same_placeholders(case, "</b>Speichern<b> anklicken.") == [
        "</b> stands in the wrong place"
    ]


@pytest.mark.parametrize(
    ("text", "what", "times"),
    [
        ("", "", 1),
        ("one two one", "", 1),
        ("No, no, no!", "no", 3),
        ("to be to be or not to be", "to be", 2),
        ("We say: go on now, go on now, GO ON NOW.", "go on now", 3),
    ],
)
def test_the_words_that_stand_most_often_in_a_row_are_found(
    text: str, what: str, times: int
) -> None:
    assert phrase_repeat(text) == (what, times)


@given(WORDS, st.integers(3, 6))
def test_a_phrase_said_n_times_stands_at_least_n_times_in_a_row(
    words: list[str], times: int
) -> None:
    assert phrase_repeat(" ".join(words * times)).times >= times
    assert no_loop(make_case("Ein Satz."), ", ".join(words * times)) != []


@given(st.lists(st.integers(0, 10**6).map(str), unique=True))
def test_words_that_are_all_different_are_no_loop(words: list[str]) -> None:
    assert phrase_repeat(" ".join(words)).times == 1


def test_a_piece_of_a_word_loops_from_six_times_on_and_digits_never() -> None:
    assert character_repeat("Schifffahrt im Januar 1000000000") == ("", 1)
    assert character_repeat("verbandbandbandbandbandband") == ("band", 6)
    assert no_loop(make_case("Wetter"), "bandbandbandbandbandbandband") == [
        "'band' stands 7 times in a row"
    ]


def test_a_source_that_repeats_itself_may_be_repeated() -> None:
    assert no_loop(make_case("No, no, no, no!"), "Nein, nein, nein, nein!") == []
    assert no_loop(make_case("No, no, no, no!"), "Nein, nein, nein, nein, nein!") != []
    assert no_loop(make_case("Sooooooooo good"), "Soooooooooooo gut") == []
    assert no_loop(make_case("a" * 20), "a" * 50) != []


@pytest.mark.parametrize("text", ["Ja", "Der Hund schläft heute im Garten.", "今天天气很好。"])
def test_a_length_fits_if_it_is_neither_much_longer_nor_much_shorter(text: str) -> None:
    case = make_case(text)
    size = len(text.encode())

    assert fitting_length(case, text) == []
    assert fitting_length(case, "x" * (int(1.8 * size) + 10)) == []
    assert fitting_length(case, "x" * (int(1.8 * size) + 11)) != []
    assert fitting_length(case, " ") == ["the translation is empty"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_lengths_that_fit_one_way_fit_the_other(one: str, other: str) -> None:
    is_blank = not one.strip() or not other.strip()

    if not is_blank:
        fits = fitting_length(make_case(one), other) == []
        assert fits == (fitting_length(make_case(other), one) == [])


def test_a_translation_that_drops_half_a_long_text_is_too_short() -> None:
    assert fitting_length(make_case("one sentence " * 40), "ein Satz " * 20) != []


@pytest.mark.parametrize("blank", ["", " ", ".", "...", "-", "?", "👍👍"])
def test_words_made_of_nothing_are_found(blank: str) -> None:
    assert robust(make_case(blank), blank) == []
    assert robust(make_case(blank), "Ich weiß") == ["it has LATIN letters, the source has none"]


def test_words_in_another_script_than_the_source_are_found() -> None:
    text = "Привет, OK?"

    assert robust(make_case(text), text) == []
    assert robust(make_case(text), "Hallo, OK?") == []
    assert robust(make_case("Привет!"), "Hallo!") == ["it has LATIN letters, the source has none"]
    assert robust(make_case("Hello!"), "Приvet!") == [
        "it has CYRILLIC letters, the source has none"
    ]


def test_blank_text_may_become_blank_and_no_other_may() -> None:
    assert robust(make_case(" "), "") == []
    assert robust(make_case("."), "") == ["the translation is empty"]
