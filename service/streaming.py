"""A translation as it comes: pieces of text in reading order, and segments as they end.

Pure: tokens in, events out; no engine, no clock.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from service.segment import SegmentedText

BROKEN = "\N{REPLACEMENT CHARACTER}"

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A piece of a translation; the pieces of one text, put together, are its translation.

    Attributes:
        index: of the text in the request.
    """

    index: int
    text: str


@dataclass(frozen=True, kw_only=True)
class SegmentEnd:
    """A sentence that is done, in whatever order they end.

    Attributes:
        index: of the text in the request; segment: of the sentence in the text.
        source, text: the sentence, and its translation.
    """

    index: int
    segment: int
    source: str
    text: str


Event = Delta | SegmentEnd


class Detokenizer:
    """Tokens of one segment to text, never to be taken back.

    A character may be spelled by several tokens, a byte each; it is held back until it is whole.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._text = ""

    @property
    def text(self) -> str:
        """All that is certain."""
        return self._text

    def feed(self, token_ids: Sequence[int]) -> None:
        """Take all tokens so far."""
        text = self._decode(token_ids).rstrip(BROKEN)
        if text.startswith(self._text):
            self._text = text

    def end(self, text: str) -> None:
        """Take the whole text of the segment."""
        self._text = text


class TextStream:
    """The translation of one text as it grows: `gap segment gap segment ... gap`.

    Segments are decoded side by side; what a later one has is held until those before it are done.

    Args:
        index: of the text in its request.
    """

    def __init__(self, index: int, segmented: SegmentedText, decode: Decode) -> None:
        self._index = index
        self._segmented = segmented
        self._segments = [Detokenizer(decode) for _ in segmented.segments]
        self._ended = [False] * len(self._segments)
        self._num_sent = 0  # characters

    def begin(self) -> Iterator[Delta]:
        """What is there before any token: the white space at the start, or all."""
        yield from self._deltas()

    def feed(self, segment: int, token_ids: Sequence[int]) -> Iterator[Delta]:
        """Take the tokens that a segment has so far."""
        self._segments[segment].feed(token_ids)
        yield from self._deltas()

    def end(self, segment: int, text: str) -> Iterator[Event]:
        """Take the translation of a segment that is done."""
        self._segments[segment].end(text)
        self._ended[segment] = True
        source = self._segmented.segments[segment].text
        yield SegmentEnd(index=self._index, segment=segment, source=source, text=text)
        yield from self._deltas()

    def _deltas(self) -> Iterator[Delta]:
        text = self._readable()
        if len(text) > self._num_sent:
            yield Delta(index=self._index, text=text[self._num_sent :])
            self._num_sent = len(text)

    def _readable(self) -> str:
        """All up to the end of the first segment that is not done."""
        parts = [self._segmented.gaps[0]]
        for segment, ended, gap in zip(
            self._segments, self._ended, self._segmented.gaps[1:], strict=True
        ):
            parts.append(segment.text)
            if not ended:
                break
            parts.append(gap)
        return "".join(parts)
