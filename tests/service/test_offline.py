"""Translating straight on a bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import UnsupportedLanguage
from service.offline import OfflineTranslator, translate_texts
from service.translation import OptionsWish
from tests.bundles import write_bundle, write_sentences

GREEDY = OptionsWish(beam_size=1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("offline") / "bundle")


def test_more_texts_than_the_window_come_out_in_order(bundle: Path) -> None:
    texts = write_sentences("de", 30)
    with OfflineTranslator(bundle=bundle) as translator:
        together = [
            translation.candidates[0].text
            for translation in translator.translate(texts, "de", "en", GREEDY, window=4)
        ]
        alone = [
            next(translator.translate([text], "de", "en", GREEDY)).candidates[0].text
            for text in texts
        ]

    assert together == alone


def test_the_first_translation_comes_before_the_last_text_is_read(bundle: Path) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in write_sentences("en", 20):
            read.append(text)
            yield text

    with OfflineTranslator(bundle=bundle) as translator:
        next(translator.translate(texts(), "en", "de", GREEDY, window=3))

    assert len(read) == 3


def test_an_empty_line_stays_empty_and_in_its_place(bundle: Path) -> None:
    [first, *_] = write_sentences("en", 1)

    translated = translate_texts(bundle, "int8", "en", "de", [first, "", "  ", "42"], 2)

    assert translated[1:] == ["", "  ", "42"]
    assert translated[0] not in ("", first)


def test_an_unknown_language_is_refused(bundle: Path) -> None:
    with OfflineTranslator(bundle=bundle) as translator, pytest.raises(UnsupportedLanguage):
        next(translator.translate(["hello"], "en", "xx", GREEDY))


def test_callers_from_outside_get_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no bundle: it has no manifest\.json"):
        translate_texts(tmp_path, "auto", "en", "de", ["hello"], 1)
