"""The slot table: the only owner of cache memory, which may be the host's or a device's.

Each busy slot belongs to one hypothesis. On the host, busy slots are always the first ones, so that
one decoder step reads a contiguous piece of every array; when a slot in the middle becomes free,
the last busy one moves in. On a device every step works on all slots: nothing moves, and room that
was made for a long text is kept, because each copy costs as much as a step.
"""

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.bundle import Sizes
from service.engine.limits import SMALLEST_CAPACITY, capacity_for, source_capacity_for
from service.engine.memory import Fork, HostMemory, Join, Memory

FEW = 24
"""Up to so many slots, a loop is faster than to index an array by lists."""


class SlotTable:
    """Tokens, lengths and KV caches of all hypotheses.

    Attributes:
        num_busy: slots in use.
        num_held: those, and as many more as the segments in them may still take.
        ids: (slot) int64, the token to feed next.
        lengths: (slot) int32, tokens cached so far, which is the position of `ids`; 0 in a slot
            that nobody has.
        source_lengths: (slot) int64; 1 in a slot that nobody has.
        cache: (place, slot, heads, capacity, head_dim); place 2 * layer holds keys, the
            next one values. The longer the capacity, the fewer slots there is memory for.
        cross: (place, slot, heads, source capacity, head_dim).
        generation: changes when an array is replaced, so that bindings to it can be dropped.
    """

    def __init__(
        self, sizes: Sizes, max_slots: int, max_tokens: int, memory: Memory | None = None
    ) -> None:
        """Start with nobody in.

        Args:
            max_slots: most hypotheses; max_tokens: what the caches have memory for, over all
                slots. More is taken only where one segment alone needs it.
            memory: where caches lie; the host's by default.
        """
        self._memory: Memory = memory or HostMemory()
        self._places = 2 * sizes.num_decoder_layers
        self._heads, self._head_dim = sizes.num_heads, sizes.head_dim
        self.max_slots, self._max_tokens = max_slots, max_tokens
        self.num_busy = self.num_held = 0
        self._holes = list(range(max_slots))  # a heap, on a device: slots that nobody has
        self.generation = 0
        self.ids = np.zeros(max_slots, dtype=np.int64)
        self.lengths = np.zeros(max_slots, dtype=np.int32)
        self.source_lengths = np.ones(max_slots, dtype=np.int64)
        self._joins: list[Join] = []
        self._forks: list[Fork] = []
        self._source_forks: list[Fork] = []
        self._left: list[int] = []  # that nobody went on in, and that `free` has not given back yet
        # Zeros, because a masked position times a probability of zero must not be NaN.
        self.cache: Any = self._memory.zeros(self._shape(SMALLEST_CAPACITY, 0))
        self.cross: Any = self._memory.zeros(self._shape(SMALLEST_CAPACITY, 0))

    def _shape(self, capacity: int, num_slots: int) -> tuple[int, ...]:
        """For at least `num_slots` slots, and as many as the budget has room for."""
        num_slots = max(num_slots, min(self.max_slots, self._max_tokens // capacity))
        if self._memory.takes_all_slots:
            num_slots = self.max_slots
        return (self._places, num_slots, self._heads, capacity, self._head_dim)

    @property
    def num_free(self) -> int:
        """Slots that nobody has or may take."""
        return self.max_slots - self.num_held

    @property
    def num_left(self) -> int:
        """Slots that nobody went on in, and that are to be given back."""
        return len(self._left)

    @property
    def num_bytes(self) -> int:
        """Memory of the caches."""
        return int(self.cache.nbytes + self.cross.nbytes)

    @property
    def num_rows(self) -> int:
        """Slots that a step works on, from the first one on."""
        return self.max_slots if self._memory.takes_all_slots else self.num_busy

    def allocate(
        self, count: int, cross: Any, source_length: int, bos_id: int, *, num_more: int = 0
    ) -> list[int]:
        """Take `count` slots for the hypotheses of one segment; on a device, all it may have.

        Args:
            cross: (place, heads, source, head_dim), keys and values of the segment's source,
                of which the first `source_length` positions count. They are copied by `settle`.
            num_more: slots that `reorder` may still take for it.
        """
        assert count + num_more <= self.num_free, "more slots than are free. This is a bug."
        num_held = self.num_held + count + num_more
        self._fit_source(source_length, num_held)
        self._fit_cache(num_held)
        if self._memory.takes_all_slots:  # where to copy a source later is dearer than rows are
            count += num_more
        slots = [self._take() for _ in range(count)]
        self._joins.append(Join(cross, slots, source_length))
        self.source_lengths[slots] = source_length
        self.ids[slots] = bos_id
        self.num_held = num_held
        return slots

    def _take(self) -> int:
        """A slot that nobody has."""
        self.num_busy += 1
        return heapq.heappop(self._holes) if self._memory.takes_all_slots else self.num_busy - 1

    def _fit_cache(self, num_slots: int) -> None:
        """Make room for more slots, and give back what a long one that has left took."""
        if self._memory.takes_all_slots:
            return
        capacity = self.cache.shape[3] if self.num_busy else SMALLEST_CAPACITY
        if num_slots * capacity > self._max_tokens:
            capacity = capacity_for(self._longest + 1)
        self.cache = self._fitted(self.cache, capacity, num_slots)

    def _fit_source(self, source_length: int, num_slots: int) -> None:
        """Make room for a source of this length, and give back what is twice what all need."""
        longest, capacity = max(source_length, int(self.source_lengths.max())), self.cross.shape[3]
        if self._memory.takes_all_slots:
            capacity = max(capacity, capacity_for(longest))
        elif not longest <= capacity <= 2 * source_capacity_for(longest):
            capacity = source_capacity_for(longest)
        self.cross = self._fitted(self.cross, capacity, num_slots)

    def settle(self) -> None:
        """Do the copies that are due: all of them at once, which is what a device likes."""
        joins, self._joins = self._joins, []
        forks, self._forks = self._forks, []
        source_forks, self._source_forks = self._source_forks, []
        if joins:
            self._memory.join(self.cross, joins)
        if forks:
            self._memory.fork(self.cache, forks)
        if source_forks:
            self._memory.fork(self.cross, source_forks)

    @property
    def _longest(self) -> int:
        """Most tokens that a busy slot has cached."""
        # Of few numbers, a list finds the largest sooner than an array does.
        return max(self.lengths[: self.num_rows].tolist(), default=0)

    def fit_target(self) -> int:
        """Make room for one more token in every busy slot; return the most that one will have."""
        self.settle()
        longest = self._longest + 1
        capacity = max(self.cache.shape[3], capacity_for(longest))
        self.cache = self._fitted(self.cache, capacity, self.num_held)
        return longest

    def _fitted(self, array: Any, capacity: int, num_slots: int) -> Any:
        """`array` with exactly this capacity and at least so many slots; what is in use is kept."""
        if array.shape[3] == capacity and array.shape[1] >= num_slots:
            return array
        self.generation += 1
        return self._memory.fitted(array, self._shape(capacity, num_slots), self.num_rows)

    def free(self, slots: Sequence[int], *, num_more: int = 0) -> dict[int, int]:
        """Give back `slots`, and those that `reorder` left.

        Args:
            num_more: how many others the segments in `slots` might have taken.
        Returns:
            Which busy slots moved where, so that no hole is left.
        """
        self.settle()
        self.num_held -= len(slots) + num_more
        freed = {*slots, *self._left}
        self._left = []
        self.num_busy -= len(freed)
        if self._memory.takes_all_slots:
            for slot in freed:
                heapq.heappush(self._holes, slot)
            self.lengths[list(freed)], self.source_lengths[list(freed)] = 0, 1
            return {}
        return self._close(freed)

    def _close(self, freed: set[int]) -> dict[int, int]:
        """Let the last slots in use move to where nobody is any more; return which, and where."""
        remaining = self.num_busy
        holes = [slot for slot in sorted(freed) if slot < remaining]
        last = range(remaining, remaining + len(freed))
        movers = [slot for slot in last if slot not in freed]
        moves = dict(zip(movers, holes, strict=True))
        cached, sources = self.lengths.tolist(), self.source_lengths.tolist()
        if moves:
            pairs = moves.items()
            self._memory.fork(self.cache, [Fork(*pair, cached[pair[0]]) for pair in pairs])
            self._memory.fork(self.cross, [Fork(*pair, sources[pair[0]]) for pair in pairs])
        for array in (self.ids, self.lengths, self.source_lengths):
            array[holes] = array[movers]
        self.lengths[remaining:] = 0
        self.source_lengths[remaining:] = 1
        return moves

    def reorder(self, slots: Sequence[int], parents: Sequence[int]) -> list[int]:
        """Let hypothesis i of a segment go on from hypothesis parents[i], after a decoder step.

        The first to go on from a hypothesis takes over its slot. For each other one, what is cached
        is copied to a slot that nobody goes on from, or to one more, by `settle`. Slots that nobody
        goes on in are given back by `free`.

        Args:
            slots: the segment's slots, all at the same position; hypothesis i is in slots[i].
            parents: at most as many as slots are held for the segment.
        Returns:
            The slots of the hypotheses that go on, in their order.
        """
        left = [slot for place, slot in enumerate(slots) if place not in parents]
        length = int(self.lengths[slots[0]]) + 1  # the step has cached the token that it was fed
        reordered: list[int] = []
        for parent in parents:
            slot = slots[parent]
            if slot in reordered:
                slot = left.pop() if left else self._take_beside(slot)
                self._forks.append(Fork(slots[parent], slot, length))
            reordered.append(slot)
        self._left += left
        return reordered

    def _take_beside(self, other: int) -> int:
        """One more slot for the segment that has `other`."""
        slot = self._take()
        self.lengths[slot], source_length = self.lengths[other], int(self.source_lengths[other])
        self.source_lengths[slot] = source_length
        self._source_forks.append(Fork(other, slot, source_length))
        return slot

    def advance(self, slots: Sequence[int], ids: Sequence[int]) -> None:
        """Count the token that each of `slots` was fed as cached, and feed `ids` next."""
        if len(slots) > FEW:
            self.lengths[slots] += 1
            self.ids[slots] = ids
            return
        for slot, token_id in zip(slots, ids, strict=True):
            self.lengths[slot] += 1
            self.ids[slot] = token_id
