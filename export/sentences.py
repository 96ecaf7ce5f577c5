"""Self-written sentences that an export is calibrated and checked on, by language."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from export.errors import ExportError


def load_sentences(path: Path | None, languages: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Sentences of every language, from a JSON file {code: [sentence, ...]}.

    Args:
        path: None reads `sentences.json` of this package, which has English and German.
    Raises:
        ExportError: if a language has no sentences.
    """
    source = path or files("export") / "sentences.json"
    sentences: dict[str, list[str]] = json.loads(source.read_text(encoding="utf-8"))
    missing = [code for code in languages if not sentences.get(code)]
    if missing:
        raise ExportError(f"{source} has no sentences of {missing}; give --sentences FILE")
    return {code: sentences[code] for code in languages}
