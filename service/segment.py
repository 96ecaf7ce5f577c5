"""Text to segments and gaps, and back without loss.

A segment is one sentence of one line; a gap is everything between two of them: white space, line
ends, list marks, emoji, and stretches that have nothing to translate, or nothing that the model
could read. A line end is always a boundary: it is kept as it is, and no sentence is read across it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from service.errors import SegmentTooLong
from service.sentences import split_sentences

Encode = Callable[[str], list[int]]
Knows = Callable[[str], bool]

_LIST_MARK = re.compile(r"\s*(?:[-*+•–—>#]+|\(?\d{1,3}\))\s+")
_SPACE = re.compile(r"\s+")
# What may stand around a sentence in any language: white space, arrows, symbols and emoji, with
# the joiners, variation selectors and tags that these are made of.
_EDGE = re.compile(
    r"[\s\u200d\ufe0f\u2190-\u21ff\u2300-\u2bff\U0001f000-\U0001faff\U000e0020-\U000e007f]"
)
# A clause ends at a mark before white space; the wide marks of Chinese and Japanese need none.
_CLAUSE_END = re.compile(r"(?:[,;:][\"'”’»)]?|[–—])\s+|[，、；：。]")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One sentence, or a part of one that was too long.

    Attributes:
        text: at least one letter that the model knows; around it no white space and no emoji.
        token_ids: the same as source tokens, without tag and `eos`.
    """

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SegmentedText:
    """A text as `gaps[0] segments[0] gaps[1] ... segments[-1] gaps[-1]`."""

    segments: tuple[Segment, ...]
    gaps: tuple[str, ...]

    def join(self, translations: Sequence[str]) -> str:
        """Put one translation in the place of each segment; the gaps stay as they were."""
        parts = [self.gaps[0]]
        for translation, gap in zip(translations, self.gaps[1:], strict=True):
            parts += (translation, gap)
        return "".join(parts)


def segment_text(
    text: str, language: str, *, encode: Encode, knows: Knows, max_tokens: int
) -> SegmentedText:
    """Cut a text into segments of at most `max_tokens` tokens; nothing is ever left out.

    Args:
        text: any text without lone surrogates.
        language: code of its language; it decides which abbreviations end no sentence.
        encode: text to token ids.
        knows: whether the model has learnt to read a character.
        max_tokens: limit for one segment, tag and `eos` not included.

    Raises:
        SegmentTooLong: if a sentence is over the limit and has no clause mark or space to split at.
    """
    segments: list[Segment] = []
    gaps = [""]
    for stretch in _stretches(text, language):
        for piece in _pieces(stretch, encode, knows, max_tokens):
            if isinstance(piece, Segment):
                segments.append(piece)
                gaps.append("")
            else:
                gaps[-1] += piece
    return SegmentedText(segments=tuple(segments), gaps=tuple(gaps))


def is_translatable(text: str, knows: Knows) -> bool:
    """Say whether there is anything to translate, in letters most of which the model knows.

    Digits, marks and emoji are the same anywhere. Of a script that it has never seen, a model makes
    things up. A letter counts as much as it has UTF-8 bytes: a Chinese one says more than a Latin
    one, and each of its bytes would be a token.
    """
    known = unknown = 0
    for letter in filter(str.isalpha, text):
        if knows(letter):
            known += len(letter.encode())
        else:
            unknown += len(letter.encode())
    return 0 < known >= unknown


def _stretches(text: str, language: str) -> Iterator[str]:
    """Yield list marks and sentences, with the white space around them, in order."""
    for line in text.splitlines(keepends=True):
        mark = _LIST_MARK.match(line)
        start = mark.end() if mark else 0
        yield line[:start]
        yield from split_sentences(line[start:], language)


def _pieces(stretch: str, encode: Encode, knows: Knows, max_tokens: int) -> Iterator[Segment | str]:
    """Yield the segments and gaps of a stretch, splitting near the middle until every part fits."""
    if not is_translatable(stretch, knows):
        yield stretch
        return
    start, end = _edge(stretch), len(stretch) - _edge(reversed(stretch))
    core = stretch[start:end]
    yield stretch[:start]
    token_ids = encode(core)
    if len(token_ids) <= max_tokens:
        yield Segment(text=core, token_ids=tuple(token_ids))
    else:
        place = _split_place(core)
        if place is None:
            raise SegmentTooLong(value=len(token_ids), limit=max_tokens)
        yield from _pieces(core[:place], encode, knows, max_tokens)
        yield from _pieces(core[place:], encode, knows, max_tokens)
    yield stretch[end:]


def _edge(characters: Iterable[str]) -> int:
    """Count those that come before the first one of a sentence."""
    return sum(1 for _ in takewhile(_EDGE.match, characters))


def _split_place(text: str) -> int | None:
    """Find where to split: the end of a clause in the middle half, else the middlemost space."""
    middle = len(text) / 2
    clauses = [m.end() for m in _CLAUSE_END.finditer(text) if m.end() < len(text)]
    near = [place for place in clauses if middle / 2 <= place <= middle * 3 / 2]
    spaces = [m.start() for m in _SPACE.finditer(text)]
    places = near or spaces or clauses
    return min(places, key=lambda place: abs(place - middle), default=None)
