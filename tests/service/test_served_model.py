import pytest

from service.errors import UnsupportedLanguage, UnsupportedPair
from service.served_model import ServedModel


def test_an_unknown_language_is_refused_with_the_known_ones(model: ServedModel) -> None:
    with pytest.raises(UnsupportedLanguage, match="'fr' is not supported; languages: de, en"):
        model.check_language("fr")


def test_a_language_cannot_be_translated_to_itself(model: ServedModel) -> None:
    with pytest.raises(UnsupportedPair):
        model.tag_id("de", "de")


def test_the_limit_of_a_translation_grows_with_its_source_up_to_the_model_s(
    model: ServedModel,
) -> None:
    assert [model.target_limit(n) for n in (1, 10, 60)] == [18, 36, 100]
