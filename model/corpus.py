"""Read aligned text, and drop pairs that teach the wrong thing."""

import gzip
import lzma
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """One aligned pair, in the order of the corpus's two languages."""

    first: str
    second: str


def open_bytes(path: Path) -> BufferedIOBase:
    """Open a file that may be packed as .xz or .gz."""
    match path.suffix:
        case ".xz":
            return lzma.open(path, "rb")
        case ".gz":
            return gzip.open(path, "rb")
        case _:
            return path.open("rb")


def read_lines(path: Path) -> Iterator[str]:
    """Stream the lines of UTF-8 text, without their ends; only LF and CR LF end a line.

    Raises:
        ValueError: naming file and line, if a line is not UTF-8.
    """
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            yield text.rstrip("\r\n")


def read_pairs(*paths: Path) -> Iterator[Pair]:
    """Stream the pairs of one tab-separated file, or of two files aligned by line.

    Raises:
        ValueError: naming file and line, if a line has no tab or is not UTF-8, or the files
            differ in length.
    """
    if len(paths) == 1:
        for number, line in enumerate(read_lines(paths[0]), 1):
            first, tab, second = line.partition("\t")
            if not tab:
                raise ValueError(f"{paths[0]}, line {number}: no tab between the two sides")
            yield Pair(first, second)
        return
    first_path, second_path = paths
    aligned = zip_longest(read_lines(first_path), read_lines(second_path))
    for number, (left, right) in enumerate(aligned, 1):
        if left is None or right is None:
            shorter = first_path if left is None else second_path
            raise ValueError(
                f"{first_path} and {second_path} differ in length: {shorter} has no line {number}"
            )
        yield Pair(left, right)


@dataclass
class PairFilter:
    """Keeps pairs of sensible length and ratio, and counts why others went.

    Attributes:
        max_words: longest side kept, in white-space separated words.
        max_ratio: largest quotient of the two sides' lengths in characters, from
            `ratio_from` characters on (short pairs vary widely and are still right).
    """

    max_words: int = 120
    max_ratio: float = 2.5
    ratio_from: int = 30
    counts: Counter[str] = field(default_factory=Counter)

    def keeps(self, pair: Pair) -> bool:
        """Decide on one pair, and count it under the reason."""
        reason = self._reason_to_drop(pair)
        self.counts[reason or "kept"] += 1
        return reason is None

    def _reason_to_drop(self, pair: Pair) -> str | None:
        lengths = sorted((len(pair.first), len(pair.second)))
        if not pair.first.strip() or not pair.second.strip():
            return "empty"
        if max(len(side.split()) for side in pair) > self.max_words:
            return "too long"
        if lengths[1] >= self.ratio_from and lengths[1] > self.max_ratio * lengths[0]:
            return "ratio"
        return None


def corpus_paths(folder: Path, patterns: tuple[str, ...]) -> list[tuple[Path, ...]]:
    """The files that `patterns` name: one tuple per tab-separated file, or one aligned pair.

    Raises:
        ValueError: if a pattern names no file, or the files are neither of the two kinds.
    """
    paths: list[Path] = []
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if not found:
            raise ValueError(f"no file in {folder} matches {pattern!r}")
        paths += found
    if all(".tsv" in path.suffixes for path in paths):
        return [(path,) for path in paths]
    if len(paths) != 2:
        names = [path.name for path in paths]
        raise ValueError(f"{names} are neither .tsv files nor two aligned files")
    return [tuple(paths)]


def load_corpus(folder: Path, patterns: tuple[str, ...], pair_filter: PairFilter) -> list[Pair]:
    """All pairs of a corpus that `pair_filter` keeps, in memory.

    Raises:
        ValueError: if it keeps none.
    """
    pairs = [
        pair
        for paths in corpus_paths(folder, patterns)
        for pair in read_pairs(*paths)
        if pair_filter.keeps(pair)
    ]
    if not pairs:
        raise ValueError(f"no pair is kept of {patterns} in {folder}: {dict(pair_filter.counts)}")
    return pairs
