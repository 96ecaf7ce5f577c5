"""Which of the bundle's languages a text is in."""

import lzma
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from py3langid.langid import (  # type: ignore[import-untyped]
    MODEL_DIR,
    MODEL_FILE,
    LanguageIdentifier,
)

_MAX_CHARACTERS = 1_000  # the start of a text tells its language; the rest would only cost time


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A language and how sure that is.

    Attributes:
        language: code, one of the bundle's.
        confidence: 0 (nothing to go by) to 1.
    """

    language: str
    confidence: float


class Detector:
    """Tell languages apart by byte n-grams (naive Bayes, the model is inside the library).

    It knows only the languages of the bundle: a text in any other is taken for one of them. Loading
    takes about a second; a text takes about 0.1 ms. It keeps no state, so any thread may call it.

    Source: Lui and Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool".
    """

    def __init__(self, languages: Iterable[str]) -> None:
        self._languages = tuple(languages)
        self._identifier = _load_identifier()
        self._identifier.set_languages(self._languages)

    def rank(self, text: str) -> list[Detection]:
        """List all languages, most likely first; confidence 0 for a text without a letter."""
        if not any(map(str.isalpha, text)):
            return [Detection(language=code, confidence=0.0) for code in self._languages]
        ranked = self._identifier.rank(text[:_MAX_CHARACTERS])
        return [Detection(language=code, confidence=float(share)) for code, share in ranked]


def _load_identifier() -> LanguageIdentifier:
    """As `LanguageIdentifier.from_model_file`, but in memory.

    That writes 68 MB to a temporary file, for which a full disk or a read-only root has no place.
    """
    with lzma.open(MODEL_DIR / MODEL_FILE) as file, np.load(BytesIO(file.read())) as model:
        next_state, row = (
            array(model[name].dtype.char, model[name].tobytes())
            for name in ("nextmove", "nextmove_row")
        )
        return LanguageIdentifier(
            model["ptc"],
            model["pc"],
            model["classes"].tolist(),
            next_state,
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=row,
        )
