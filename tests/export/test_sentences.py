"""The sentences that an export is checked on."""

import json
from pathlib import Path

import pytest

from export.errors import ExportError
from export.sentences import load_sentences


def test_the_package_has_sentences_of_english_and_german() -> None:
    sentences = load_sentences(None, ("en", "de"))

    assert {code: len(set(lines)) >= 20 for code, lines in sentences.items()} == {
        "en": True,
        "de": True,
    }


def test_a_file_may_bring_other_languages(tmp_path: Path) -> None:
    path = tmp_path / "sentences.json"
    path.write_text(json.dumps({"fr": ["Bonjour."], "it": ["Ciao."]}))

    assert load_sentences(path, ("fr",)) == {"fr": ["Bonjour."]}


def test_a_language_without_sentences_is_refused() -> None:
    with pytest.raises(ExportError, match=r"no sentences of .'cs'"):
        load_sentences(None, ("en", "cs"))
