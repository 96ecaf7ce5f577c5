"""The n-grams of bytes that py3langid tells languages by, in a tenth of the memory that it takes.

Its automaton is a table of the next state for each of 256 bytes, 39 MB. Nine moves of ten go where
the last two bytes alone lead, so only the others are kept; and of the weights, 28 MB for 142
languages, only those of the languages that are asked for.
"""

import lzma
import struct
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_DIR, MODEL_FILE  # type: ignore[import-untyped]

_ROWS = 1_024  # looked at together: what that takes for a moment is little


@dataclass(frozen=True, kw_only=True)
class Automaton:
    """Reads bytes, and tells the n-grams that end at each.

    Attributes:
        rows: (state), where its moves are.
        features: (state), the n-gram that ends there, or -1.
        last: (row), the byte that leads to the states of a row.
        usual: (byte, byte), the state after these two, whatever was before.
        starts: (row + 1), where its unusual moves begin, in `letters` and `targets`.
        letters, targets: (unusual move), the byte read, and the state it leads to.
    """

    rows: Sequence[int]
    features: Sequence[int]
    last: bytes
    usual: Sequence[int]
    starts: Sequence[int]
    letters: bytes
    targets: Sequence[int]

    @classmethod
    def pack(
        cls,
        moves: npt.NDArray[np.uint32],
        rows: npt.NDArray[np.uint16],
        features: npt.NDArray[np.int32],
    ) -> Self:
        """Leave out of `moves`, (row, byte), those that the last two bytes tell."""
        last_of_state = np.zeros(len(rows), dtype=np.uint8)
        for letter in range(256):
            last_of_state[moves[:, letter]] = letter
        last = np.zeros(len(moves), dtype=np.uint8)
        last[rows] = last_of_state
        usual = moves[rows[moves[0]]]
        starts, letters, targets = array("I", [0]), bytearray(), array("I")
        for first in range(0, len(moves), _ROWS):
            part = moves[first : first + _ROWS]
            unusual = part != usual[last[first : first + _ROWS]]  # (row, byte)
            ends = np.cumsum(unusual.sum(axis=1)) + len(letters)
            starts.frombytes(ends.astype(np.uint32).tobytes())
            letters += np.nonzero(unusual)[1].astype(np.uint8).tobytes()
            targets.frombytes(part[unusual].tobytes())
        return cls(
            rows=array("H", rows.tobytes()),
            features=array("i", features.tobytes()),
            last=last.tobytes(),
            usual=array("I", usual.tobytes()),
            starts=starts,
            letters=bytes(letters),
            targets=targets,
        )

    def count(self, text: bytes) -> Counter[int]:
        """How often each n-gram is in `text`, in the order of where they first end."""
        rows, features, last, usual = self.rows, self.features, self.last, self.usual
        starts, letters, targets = self.starts, self.letters, self.targets
        state, found = 0, []
        for letter in text:
            row = rows[state]
            place = letters.find(letter, starts[row], starts[row + 1])
            state = targets[place] if place >= 0 else usual[last[row] << 8 | letter]
            if (feature := features[state]) >= 0:
                found.append(feature)
        return Counter(found)


@dataclass(frozen=True, kw_only=True)
class Ngrams:
    """What is known of some languages.

    Attributes:
        codes: (column), language; one that is written in several scripts may come more than once.
        weights: (n-gram, column) float16, log probability.
        priors: (column) float32, log probability.
    """

    codes: Sequence[str]
    weights: npt.NDArray[np.float16]
    priors: npt.NDArray[np.float32]
    automaton: Automaton


def load_ngrams(languages: Sequence[str]) -> Ngrams:
    """Read the library's model, with columns for `languages` alone.

    The library would write 68 MB to a temporary file, for which a full disk or a read-only root
    has no place. Here it is read from front to back, and never in memory as a whole.

    Raises:
        ValueError: if the library does not know a language, or its model has another form.
    """
    with lzma.open(MODEL_DIR / MODEL_FILE) as file:
        weights, priors, classes = (_next_array(file, name) for name in ("ptc", "pc", "classes"))
        if unknown := sorted(set(languages) - set(classes.tolist())):
            raise ValueError(f"no language is known as {', '.join(unknown)}")
        columns = [column for column, code in enumerate(classes) if code in languages]
        weights = weights[:, columns]
        moves = _next_array(file, "nextmove").reshape(-1, 256)
        rows, features = (_next_array(file, name) for name in ("nextmove_row", "out_feat"))
        return Ngrams(
            codes=classes[columns].tolist(),
            weights=weights,
            priors=priors[columns],
            automaton=Automaton.pack(moves, rows, features),
        )


def _next_array(file: lzma.LZMAFile, name: str) -> npt.NDArray[Any]:
    """The next member of an `.npz` file that is not compressed; `file` need not be sought in."""
    header = file.read(30)
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:])
    found = file.read(name_bytes + extra_bytes)[:name_bytes].decode()
    if found != f"{name}.npy":
        raise ValueError(f"{MODEL_FILE} of py3langid has {found} where {name}.npy was")
    array_found: npt.NDArray[Any] = np.lib.format.read_array(file)
    return array_found
