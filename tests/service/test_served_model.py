import pytest

from service.errors import UnsupportedFormality, UnsupportedLanguage, UnsupportedPair
from service.served_model import ServedModel


def test_an_unknown_language_is_refused_with_the_known_ones(model: ServedModel) -> None:
    with pytest.raises(UnsupportedLanguage, match="'fr' is not supported; languages: de, en"):
        model.check_language("fr")


def test_a_language_cannot_be_translated_to_itself(model: ServedModel) -> None:
    with pytest.raises(UnsupportedPair):
        model.tag_id("de", "de")


def test_a_form_of_address_is_a_mark_behind_the_tag(model: ServedModel) -> None:
    assert model.control_ids("en", "de", "default") == (2,)
    assert model.control_ids("en", "de", "formal") == (2, 3)
    assert model.control_ids("de", "en", "default") == (1,)


@pytest.mark.parametrize(
    ("source", "target", "formality", "choices"),
    [
        ("en", "de", "rude", "default, formal, informal"),
        ("de", "en", "formal", "default"),
    ],
)
def test_a_form_of_address_that_there_is_not_is_refused_with_those_there_are(
    model: ServedModel, source: str, target: str, formality: str, choices: str
) -> None:
    with pytest.raises(UnsupportedFormality, match=f"{formality}.* {target}; it may be: {choices}"):
        model.control_ids(source, target, formality)


def test_the_limit_of_a_translation_grows_with_its_source_up_to_the_model_s(
    model: ServedModel,
) -> None:
    assert [model.target_limit(n) for n in (1, 10, 60)] == [18, 36, 100]
    assert [model.target_limit(n, ratio=0.5) for n in (1, 10, 60)] == [17, 21, 46]
