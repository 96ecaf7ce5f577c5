"""Memory for caches on the host, and what any memory of caches can do."""

import contextlib
import math
import mmap
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]


class Array(Protocol):
    """An array of keys and values, wherever it lies."""

    @property
    def shape(self) -> Shape:
        """Sizes of all axes."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""


class Join(NamedTuple):
    """Keys and values of a segment's source, on their way to slots.

    Attributes:
        cross: (place, heads, source, head_dim), in the memory's own form.
        length: so many positions count.
    """

    cross: Any
    slots: Sequence[int]
    length: int


class Fork(NamedTuple):
    """What is cached in one slot is wanted in another, as far as `length` positions."""

    source: int
    target: int
    length: int


class Memory(Protocol):
    """Where caches lie: (place, slot, heads, capacity, head_dim).

    Attributes:
        takes_all_slots: every step works on all slots, busy or not, so that the number of rows,
            and with it the kernel that a product takes, is always the same; so slots stay where
            they are.
    """

    takes_all_slots: bool

    def zeros(self, shape: Shape) -> Array:
        """A new array."""

    def fitted(self, array: Any, shape: Shape, num_slots: int) -> Array:
        """A new array; what the first `num_slots` slots hold is kept as far as there is room."""

    def join(self, array: Any, joins: Sequence[Join]) -> None:
        """Write sources into slots."""

    def fork(self, array: Any, forks: Sequence[Fork]) -> None:
        """Copy between slots; no slot is both a source and a target."""


class HostMemory:
    """Arrays of numpy, changed in place.

    They lie in mappings of their own. Caches are large and often replaced, and what the allocator
    of C gets back it keeps, in pieces too small for the next one.
    """

    takes_all_slots = False

    def zeros(self, shape: Shape) -> npt.NDArray[np.float32]:
        """A new array."""
        num_bytes = math.prod(shape) * np.dtype(np.float32).itemsize
        mapping = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # from a kernel without them
                mapping.madvise(mmap.MADV_HUGEPAGE)  # few page faults, as numpy's arrays have
        return np.frombuffer(mapping, dtype=np.float32).reshape(shape)

    def fitted(
        self, array: npt.NDArray[np.float32], shape: Shape, num_slots: int
    ) -> npt.NDArray[np.float32]:
        """A new array with what the first slots hold; `array` may be lost.

        It goes place by place, so that there is never memory for both.
        """
        fitted = self.zeros(shape)
        kept = min(shape[3], array.shape[3])
        for place in range(shape[0]):
            fitted[place, :num_slots, :, :kept] = array[place, :num_slots, :, :kept]
            _give_back(array, place)
        return fitted

    def join(self, array: npt.NDArray[np.float32], joins: Sequence[Join]) -> None:
        """Write sources into slots."""
        for cross, slots, length in joins:
            array[:, slots, :, :length] = cross[:, None, :, :length]

    def fork(self, array: npt.NDArray[np.float32], forks: Sequence[Fork]) -> None:
        """Copy between slots."""
        for source, target, length in forks:
            array[:, target, :, :length] = array[:, source, :, :length]


def _give_back(array: npt.NDArray[np.float32], place: int) -> None:
    """Let the system have the pages of one place, if the array lies in a mapping of its own."""
    mapping = getattr(getattr(array.base, "base", None), "obj", None)  # see `HostMemory.zeros`
    if not isinstance(mapping, mmap.mmap) or len(mapping) != array.nbytes:
        return
    start, end = place * array[0].nbytes, (place + 1) * array[0].nbytes
    start = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = end // mmap.PAGESIZE * mmap.PAGESIZE - start
    if length > 0 and sys.platform == "linux":
        mapping.madvise(mmap.MADV_DONTNEED, start, length)
