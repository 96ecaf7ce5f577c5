import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sentences import split_sentences

HARD_TO_SPLIT = st.text(alphabet="aA .!?,;:\n\r\t\"'()0123„“»«…。\u3000\u2028\u00a0\x85é😀\ufeff")


@pytest.mark.parametrize(
    "sentence",
    [
        "Das ist z. B. ein Test.",
        "Das ist z.B. Herr Dr. Müller.",
        "Am 3. Oktober 2020 kam Prof. Schmidt an.",
        "Im 19. Jahrhundert lebte Ludwig XIV. Nicht mehr.",
        "Siehe Nr. 5 und Abb. 3, bzw. Kapitel 2.",
        "Er sagte „Komm!“ und ging.",
    ],
)
def test_german_abbreviations_and_ordinals_end_no_sentence(sentence: str) -> None:
    assert list(split_sentences(sentence, "de")) == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "See e.g. the page https://a.b/c.html?x=1 or version 3.14.",
        "Mr. Smith met Dr. Jones at St. Mary's.",
        "The U.S. Army paid $3.50.",
        '"Really?" he asked.',
        "Wait... what?",
        "J. R. R. Tolkien wrote it.",
    ],
)
def test_english_abbreviations_end_no_sentence(sentence: str) -> None:
    assert list(split_sentences(sentence, "en")) == [sentence]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hallo. Wie geht es? Gut!", "de", ["Hallo. ", "Wie geht es? ", "Gut!"]),
        ("„Nichts.“ Dann ging er.", "de", ["„Nichts.“ ", "Dann ging er."]),
        ("Es war 1990. Danach nicht.", "de", ["Es war 1990. ", "Danach nicht."]),
        ("We met at 5 p.m. Then we left.", "en", ["We met at 5 p.m. ", "Then we left."]),
        ("It was May 3. It rained.", "en", ["It was May 3. ", "It rained."]),
        ("No. I do not.", "en", ["No. ", "I do not."]),
        ("你好。世界！", "zh", ["你好。", "世界！"]),
    ],
)
def test_sentences_end_at_marks(text: str, language: str, expected: list[str]) -> None:
    assert list(split_sentences(text, language)) == expected


@given(st.one_of(st.text(), HARD_TO_SPLIT), st.sampled_from(["de", "en", "xx"]))
def test_sentences_joined_are_the_text(text: str, language: str) -> None:
    assert "".join(split_sentences(text, language)) == text


@pytest.mark.parametrize("unit", [".", '"。„', "„", "a. ", "\"'é", "A.", " ", "(. "])
def test_time_grows_no_faster_than_the_text(unit: str) -> None:
    text = unit * (100_000 // len(unit))

    started = time.process_time()
    assert "".join(split_sentences(text, "de")) == text

    assert time.process_time() - started < 5.0  # quadratic time would take minutes
