import tempfile

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

from service.detect import Detector


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Das Wetter ist heute sehr schön.", "de"),
        ("The weather is very nice today.", "en"),
        ("Guten Morgen", "de"),
        ("Thank you", "en"),
        ("WIE GEHT ES DIR?", "de"),
    ],
)
def test_short_texts_are_told_apart(detector: Detector, text: str, language: str) -> None:
    best, other = detector.rank(text)

    assert best.language == language
    assert 1.0 >= best.confidence > 0.5 > other.confidence >= 0.0


@pytest.mark.parametrize("text", ["", "123", "😀", " \n"])
def test_a_text_without_a_letter_has_confidence_zero(detector: Detector, text: str) -> None:
    assert {detection.confidence for detection in detector.rank(text)} == {0.0}


def test_only_languages_of_the_bundle_are_found(detector: Detector) -> None:
    ranked = detector.rank("Bonjour le monde, comment allez-vous ?")

    assert {detection.language for detection in ranked} == {"de", "en"}


LANGUAGES = ("de", "en", "fr", "ja", "sr", "zh")  # Serbian has two scripts, and two columns


@pytest.fixture(scope="module")
def library() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier


@pytest.fixture(scope="module")
def many() -> Detector:
    return Detector(LANGUAGES)


@pytest.mark.parametrize(
    "text",
    [
        "Das Wetter is nice heute.",
        "DER ZUG NACH MÜNCHEN FÄLLT AUS.",
        "Добар дан, како сте?",
        "Dobar dan, kako ste?",
        "明日は雨が降るでしょう。",
        "今天天气很好。",
        "Cafe\u0301 cre\u0300me, s'il vous plai\u0302t",
        "\ud800 und ein halbes Paar",
        "ꙮ",
        "Der Hund schläft, und die Katze auch. " * 40,
    ],
)
def test_it_answers_as_the_library(text: str, many: Detector, library: LanguageIdentifier) -> None:
    ranked = [(found.language, found.confidence) for found in many.rank(text)]

    assert ranked == library.rank(text[:1_000])


def test_it_needs_no_place_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)

    Detector(("de", "en"))
