"""Which of the bundle's languages a text is in."""

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from service.ngrams import load_ngrams

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
    """Tell languages apart by byte n-grams (naive Bayes, the model is inside py3langid).

    It knows only the languages of the bundle: a text in any other is taken for one of them. Loading
    takes about a second; a text takes about 0.1 ms. It keeps no state, so any thread may call it.

    Source: Lui and Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool"; what
    py3langid 0.4 made of it, which counts an n-gram by the logarithm of how often it is there.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        self._languages = tuple(languages)
        self._ngrams = load_ngrams(self._languages)

    def rank(self, text: str) -> list[Detection]:
        """List all languages, most likely first; confidence 0 for a text without a letter."""
        if not any(map(str.isalpha, text)):
            return [Detection(language=code, confidence=0.0) for code in self._languages]
        shares = self._shares(text[:_MAX_CHARACTERS])
        return [
            Detection(language=code, confidence=float(shares[code]))
            for code in sorted(shares, key=shares.__getitem__, reverse=True)
        ]

    def _shares(self, text: str) -> dict[str, np.float32]:
        """Language -> how likely it is, 1 in sum."""
        if text.isupper():  # there are no n-grams of shouting
            text = text.lower()
        encoded = unicodedata.normalize("NFC", text).encode(errors="surrogatepass")
        counts = self._ngrams.automaton.count(encoded)
        scores = np.zeros(len(self._ngrams.codes), dtype=np.float32)
        if counts:
            found = np.log1p(np.array(list(counts.values()), dtype=np.float32))
            scores = found @ self._ngrams.weights[list(counts)] + self._ngrams.priors
        scores *= 1.0 / math.sqrt(len(encoded))  # else a long text would always be dead sure
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        by_language: dict[str, np.float32] = {}
        for code, share in zip(self._ngrams.codes, shares, strict=True):
            by_language[code] = by_language.get(code, np.float32(0.0)) + share
        return by_language
