import pytest

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
