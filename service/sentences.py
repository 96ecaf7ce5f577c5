"""Where sentences end.

Written here because it must never fail nor slow down on any input: the libraries that were tried
crash on some white space, take quadratic time on runs of quotes, or split `Am 3. Oktober`. In doubt
two sentences stay together: the model reads two sentences better than half a one.
"""

import re
from collections.abc import Iterator

_MARKS = ".!?…。！？｡؟۔।॥"
_CLOSERS = "\"')]}”’“‘»«›‹」』）"
_OPENERS = "\"'([{„‚“‘»«›‹「『（¿¡"
# A sentence ends before white space; the wide marks of Chinese and Japanese need none.
_BREAK = re.compile(r"\s+|(?<=[。！？｡])(?=[^\s。！？｡」』”’）])")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")  # z.B, U.S, Ph.D
_ORDINAL = re.compile(r"\d{1,2}|[IVX]+")  # am 3. Oktober, Ludwig XIV.


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENDING = _words("a.m p.m")  # dotted, and often the end of a sentence all the same
_BEFORE_NUMBER = _words(  # abbreviations only where a digit follows: "No." is also an answer
    "abb abs approx art bd ca ch ff fig kap no nos nr nrn p par pp rn s sec tab tel vol z ziff"
)
_ABBREVIATIONS = _words(  # of either language, for names and titles travel
    "apr aug capt col dec dept dez dipl dipl.-ing dr feb fr gen gov hl hr hrn ing jan jr lt med "
    "messrs mr mrs ms mt nov oct okt ph phil prof rer rev sen sept sgt sr st str univ vs"
)
_GERMAN_ABBREVIATIONS = _ABBREVIATIONS | _words(
    "allg bspw bzgl bzw ebd evtl exkl geb gem gest ggf inkl insb jh mind mio mrd mtl nachm "
    "sog verh vgl vorm zzgl zzt"
)


def split_sentences(text: str, language: str) -> Iterator[str]:
    """Yield the sentences of a text in order, each with the white space behind it.

    Args:
        text: any text; joining what comes out gives it back.
        language: its code; German has ordinals and abbreviations that no other language has.
    """
    start = word_start = 0
    for space in _BREAK.finditer(text):
        word = text[word_start : space.start()]
        word_start = space.end()
        following = text[word_start : word_start + 4].lstrip(_OPENERS)[:1]
        if _ends_sentence(word, following, language):
            yield text[start:word_start]
            start = word_start
    if start < len(text):
        yield text[start:]


def _ends_sentence(word: str, following: str, language: str) -> bool:
    core = word.rstrip(_CLOSERS)
    stem = core.rstrip(_MARKS)
    if stem == core or following.islower():
        return False
    if word != stem + ".":  # another mark, or closed by a quote or bracket: no abbreviation
        return True
    return not _is_abbreviation(stem.lstrip(_OPENERS), following, language)


def _is_abbreviation(stem: str, following: str, language: str) -> bool:
    lower = stem.lower()
    german = language == "de"
    if len(stem) == 1 and stem.isalpha() and stem != "I":
        return True
    if (german and _ORDINAL.fullmatch(stem)) or (following.isdigit() and lower in _BEFORE_NUMBER):
        return True
    if lower in (_GERMAN_ABBREVIATIONS if german else _ABBREVIATIONS):
        return True
    return lower not in _ENDING and _DOTTED.fullmatch(stem) is not None
