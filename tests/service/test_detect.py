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


def test_it_answers_as_the_library_and_needs_no_place_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Das Wetter is nice heute."
    reference = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    reference.set_languages(("de", "en"))
    monkeypatch.setattr(tempfile, "TemporaryFile", None)

    ranked = [(found.language, found.confidence) for found in Detector(("de", "en")).rank(text)]

    assert ranked == [(code, float(share)) for code, share in reference.rank(text)]
