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


def candidates(
    translator: OfflineTranslator, texts: list[str], options: OptionsWish
) -> list[list[str]]:
    translated = translator.translate(texts, "de", "en", options)
    return [[one.text for one in translation.candidates] for translation in translated]


def test_samples_are_the_same_alone_and_in_company(bundle: Path) -> None:
    texts = write_sentences("de", 12)
    options = OptionsWish(temperature=1.0, top_p=0.9, seed=5, num_hypotheses=3)

    with OfflineTranslator(bundle=bundle) as translator:
        together = candidates(translator, texts, options)
        alone = [candidates(translator, [text], options)[0] for text in texts]

    assert together == alone
    assert len({text for samples in together for text in samples}) > 24


def test_alternatives_share_the_prefix_and_differ_behind_it(bundle: Path) -> None:
    prefix = "The old man"
    options = OptionsWish(target_prefix=prefix, return_alternatives=True, num_hypotheses=4)

    with OfflineTranslator(bundle=bundle) as translator:
        [found] = candidates(translator, write_sentences("de", 1), options)

    assert len(set(found)) == 4
    assert all(text.startswith(prefix) for text in found)


def test_an_unknown_language_is_refused(bundle: Path) -> None:
    with OfflineTranslator(bundle=bundle) as translator, pytest.raises(UnsupportedLanguage):
        next(translator.translate(["hello"], "en", "xx", GREEDY))


def test_callers_from_outside_get_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no bundle: it has no manifest\.json"):
        translate_texts(tmp_path, "auto", "en", "de", ["hello"], 1)
