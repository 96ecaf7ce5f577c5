import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from model.check_cases import load_cases
from model.copying import USERS, keep_to_the_letter
from model.corpus import Pair

TOM = Pair("Tom met Tom in Boston in 1994.", "Tom traf Tom 1994 in Boston.")
WEATHER = Pair("The weather is nice.", "Das Wetter ist schön.")


def things(pair: Pair, count: int = 600) -> list[Pair]:
    return [keep_to_the_letter(pair, Random(seed)) for seed in range(count)]


@given(first=st.text(), second=st.text(), seed=st.integers())
def test_any_pair_gets_something_on_both_sides(first: str, second: str, seed: int) -> None:
    kept = keep_to_the_letter(Pair(first, second), Random(seed))

    assert kept.first != first
    assert kept.second != second


@given(side=st.text(), seed=st.integers())
def test_both_sides_get_the_same_in_the_same_place(side: str, seed: int) -> None:
    kept = keep_to_the_letter(Pair(side, side), Random(seed))

    assert kept.first == kept.second


def test_a_name_or_number_of_both_sides_is_replaced_in_both() -> None:
    """Boston and 1994 stand once on each side; Tom stands twice, and stays."""
    replaced = {"Boston": 0, "1994": 0}
    for english, german in things(TOM):
        for word in replaced:
            if not re.search(rf"(?<!\w){word}(?!\w)", english):
                replaced[word] += 1
                assert not re.search(rf"(?<!\w){word}(?!\w)", german)
        assert english.count("Tom met Tom") == german.count("Tom traf Tom") == 1

    assert min(replaced.values()) > 100


def test_addresses_placeholders_and_numbers_of_many_kinds_come_up() -> None:
    text = "\n".join(pair.first for pair in things(WEATHER, 2000))

    for kind in (
        *(r"https?://\w+\.\w+/", r"www\.\w+\.", r"[\w.+-]+@\w+\.\w+", r" \{\w+\}", r"\{\d\}"),
        *(
            "[\U0001f300-\U0001f9ff]",
            "[\u2600-\u27bf]\ufe0f",
            "[α-ω]",
            "[а-я]",
            "[一-龥]",
            "[가-힣]",
        ),
        *(r"\{\{\w+\}\}", r"\$\{[A-Z]+\}", "%s", r"%\d\$s", r"<b>\w+</b>", "&amp;", r"\d\d:\d\d"),
    ):
        assert re.search(kind, text), kind


def test_addresses_have_names_and_words_that_could_be_translated() -> None:
    text = "\n".join(pair.first for pair in things(WEATHER, 4000))

    for kind in (
        r"kontakt\S*@",
        r"lisa\S*@",
        r"weather\S*@",
        r"@\w+\.\w+\.\w+",
        r"/\S*nice",
        "nicethe",
    ):
        assert re.search(kind, text), kind


def test_addresses_that_behaviour_is_checked_by_are_not_taught() -> None:
    cases = [case for case in load_cases() if case.category == "emails"]

    addresses = " ".join(re.findall(r"\S+@\S+", " ".join(case.text for case in cases))).lower()
    assert len(cases) == 20
    assert [user for user in USERS if user in addresses] == []


def test_it_is_repeatable() -> None:
    assert things(TOM, 20) == things(TOM, 20)
