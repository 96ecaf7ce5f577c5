import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SegmentTooLong
from service.segment import SegmentedText, segment_text
from tests.service.stub_engine import StubTokenizer
from tests.service.test_sentences import HARD_TO_SPLIT

encode, knows = StubTokenizer().encode, StubTokenizer().knows


def segments_of(text: str, *, max_tokens: int = 1_000) -> list[str]:
    return [segment.text for segment in cut(text, max_tokens=max_tokens).segments]


def cut(text: str, *, max_tokens: int = 1_000) -> SegmentedText:
    return segment_text(text, "de", encode=encode, knows=knows, max_tokens=max_tokens)


@given(st.one_of(st.text(), HARD_TO_SPLIT), st.integers(min_value=5, max_value=20))
def test_segments_and_gaps_joined_are_the_text(text: str, max_tokens: int) -> None:
    try:
        segmented = cut(text, max_tokens=max_tokens)
    except SegmentTooLong:
        return
    assert segmented.join([segment.text for segment in segmented.segments]) == text


@given(HARD_TO_SPLIT, st.integers(min_value=5, max_value=20))
def test_segments_have_letters_fit_and_are_stripped(text: str, max_tokens: int) -> None:
    try:
        segments = cut(text, max_tokens=max_tokens).segments
    except SegmentTooLong:
        return
    for segment in segments:
        assert any(character.isalpha() and knows(character) for character in segment.text)
        assert segment.text == segment.text.strip()
        assert list(segment.token_ids) == encode(segment.text)
        assert len(segment.token_ids) <= max_tokens


def test_line_ends_and_list_marks_stay_in_the_gaps() -> None:
    segmented = cut("- Eins\r\n  * Zwei. Drei\n\n> Vier\n1) Fünf\n")

    assert segmented.join(["A", "B", "C", "D", "E"]) == "- A\r\n  * B C\n\n> D\n1) E\n"


@pytest.mark.parametrize("text", ["", " \n", "123", "3.14 + 2", "😀👍🏽", "...?!", "\x00"])
def test_text_without_a_letter_has_no_segment(text: str) -> None:
    assert cut(text) == SegmentedText(segments=(), gaps=(text,))


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("🎉 Gewonnen!", "🎉 A"),
        ("Bis morgen 👋🏽\n", "A 👋🏽\n"),
        ("❤️Danke ❤️ Danke❤️", "❤️A❤️"),
        ("- ✅ Fertig. 👩‍👩‍👧 Familie 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "- ✅ A 👩‍👩‍👧 B 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("→ Weiter ▶️", "→ A ▶️"),
    ],
)
def test_emoji_at_the_edges_of_a_sentence_stay_there(text: str, translated: str) -> None:
    segmented = cut(text)

    assert segmented.join(["A", "B"][: len(segmented.segments)]) == translated


@pytest.mark.parametrize(
    "text",
    ["Ich liebe 🍕 und Eis.", "Schön 😍!", "1️⃣ Anfang", "{name} kommt.", "„Ja“", "cafe\u0301"],
)
def test_all_else_is_part_of_the_sentence(text: str) -> None:
    assert segments_of(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "今天天气很好，我们去公园吧。",
        "Привет, как дела?",
        "مرحبا، كيف حالك؟",
        "नमस्ते, आप कैसे हैं?",
        "Слово OK значит да.",
        "使用 Python 编程",  # fewer letters than "Python" has, but more bytes
    ],
)
def test_a_sentence_in_letters_that_the_model_does_not_know_is_a_gap(text: str) -> None:
    assert cut(text) == SegmentedText(segments=(), gaps=(text,))


@pytest.mark.parametrize(
    "text", ["Das Wort 名前 heißt Name.", "Mein Kollege Дмитрий wohnt hier.", "abж"]
)
def test_a_sentence_with_at_most_half_its_letters_unknown_is_a_segment(text: str) -> None:
    assert segments_of(text) == [text]


def test_sentences_around_one_in_another_script_are_segments() -> None:
    segmented = cut("Ja. Да. Nein.\n- 你好\n- Hallo 你")

    assert segmented.join(["A", "B", "C"]) == "A Да. B\n- 你好\n- C"


def test_a_sentence_in_another_script_has_no_limit() -> None:
    assert segments_of("字" * 40, max_tokens=30) == []


def test_a_long_sentence_is_split_at_the_clause_nearest_the_middle() -> None:
    text = "eins, zwei und drei, vier und fünf und sechs"

    assert segments_of(text, max_tokens=30) == ["eins, zwei und drei,", "vier und fünf und sechs"]


def test_a_long_sentence_without_clauses_is_split_at_the_space_nearest_the_middle() -> None:
    assert segments_of("aa bb cc dd ee", max_tokens=10) == ["aa bb cc", "dd ee"]


def test_splitting_goes_on_until_every_part_fits() -> None:
    assert segments_of("aa bb cc dd ee", max_tokens=2) == ["aa", "bb", "cc", "dd", "ee"]


def test_a_segment_at_the_limit_is_not_split() -> None:
    assert segments_of("aa bb", max_tokens=5) == ["aa bb"]


def test_a_word_over_the_limit_is_refused_with_limit_and_value() -> None:
    with pytest.raises(SegmentTooLong, match=r"a segment has 40 tokens .* limit is 30"):
        cut("x" * 40, max_tokens=30)
