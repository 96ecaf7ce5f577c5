"""The slot table against a plain model: whatever moves, every hypothesis keeps what is its own."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import Sizes
from service.engine.limits import SMALLEST_CAPACITY, EngineLimits, capacity_for
from service.engine.scores import Floats
from service.engine.slots import FEW, SlotTable

SIZES = Sizes(vocab_size=9, d_model=4, num_heads=2, num_decoder_layers=2)
PLACES, HEADS, HEAD_DIM = 4, 2, 2
MAX_SLOTS = 6
BOS_ID = 2


@dataclass
class Segment:
    """What a segment must find in its slots: its source, and the tokens of each hypothesis."""

    slots: list[int]
    cross: Floats
    held: int  # slots that it may have at most
    histories: list[list[int]] = field(default_factory=list)


class PlainTable:
    """A slot table beside lists that say what it must hold."""

    def __init__(self, max_tokens: int = 8_192) -> None:
        self.table = SlotTable(SIZES, MAX_SLOTS, max_tokens)
        self.segments: list[Segment] = []
        self.num_made = 0

    def allocate(self, held: int, source_length: int, num_more: int) -> None:
        held = min(held, self.table.num_free)
        if held == 0:
            return
        self.num_made += 1
        cross = make_cross(source_length, seed=self.num_made)
        num_more = min(num_more, held - 1)
        count = held - num_more
        slots = self.table.allocate(count, cross, source_length, BOS_ID, num_more=num_more)
        histories = [[BOS_ID] for _ in range(count)]
        self.segments.append(Segment(slots, cross[:, :, :source_length], held, histories))

    def free(self, number: int) -> None:
        if not self.segments:
            return
        gone = self.segments.pop(number % len(self.segments))
        self.give_back(gone.slots, num_more=gone.held - len(gone.slots))

    def give_back(self, slots: list[int], num_more: int) -> None:
        moves = self.table.free(slots, num_more=num_more)
        for segment in self.segments:
            segment.slots = [moves.get(slot, slot) for slot in segment.slots]

    def step(self, parents_seed: int) -> None:
        """Write as the decoder graph does, then let each segment go on from random parents."""
        if not self.segments:
            return
        self.table.fit_target()
        for slot in range(self.table.num_busy):
            self.table.cache[:, slot, :, self.table.lengths[slot]] = self.table.ids[slot]
        generator = np.random.default_rng(parents_seed)
        for segment in self.segments:
            count = generator.integers(1, segment.held + 1)
            parents = generator.integers(0, len(segment.slots), size=count).tolist()
            ids = generator.integers(4, 9, size=count).tolist()
            segment.slots = self.table.reorder(segment.slots, parents)
            self.table.advance(segment.slots, ids)
            segment.histories = [
                [*segment.histories[parent], token_id]
                for parent, token_id in zip(parents, ids, strict=True)
            ]
        if self.table.num_left:
            self.give_back([], num_more=0)

    def check(self) -> None:
        table = self.table
        table.settle()
        owned = sorted(slot for segment in self.segments for slot in segment.slots)
        assert owned == list(range(table.num_busy))
        assert table.num_free == MAX_SLOTS - sum(segment.held for segment in self.segments)
        for segment in self.segments:
            source_length = segment.cross.shape[2]
            for slot, history in zip(segment.slots, segment.histories, strict=True):
                *cached, next_id = history
                assert table.ids[slot] == next_id
                assert table.lengths[slot] == len(cached)
                assert table.source_lengths[slot] == source_length
                assert (table.cross[:, slot, :, :source_length] == segment.cross).all()
                found = table.cache[:, slot, :, : len(cached)]
                assert (found == np.array(cached, dtype=np.float32)[:, None]).all()


def make_cross(source_length: int, seed: int = 1) -> Floats:
    generator = np.random.default_rng(seed)
    shape = (PLACES, HEADS, source_length + 3, HEAD_DIM)  # 3 places of padding
    return generator.normal(size=shape).astype(np.float32)


operations = st.one_of(
    st.tuples(
        st.just("allocate"),
        st.integers(1, 4),
        st.sampled_from([1, 5, 31, 32, 33, 70]),
        st.sampled_from([0, 0, 1, 3]),
    ),
    st.tuples(st.just("free"), st.integers(0, 5)),
    st.tuples(st.just("step"), st.integers(0, 2**32)),
    st.tuples(st.just("step"), st.integers(0, 2**32)),
)


@given(st.lists(operations, max_size=40))
def test_any_order_of_joining_stepping_and_leaving_keeps_what_is_in_the_slots(
    given_operations: list[tuple[str, int]],
) -> None:
    plain = PlainTable()

    for name, *arguments in given_operations:
        getattr(plain, name)(*arguments)
        plain.check()


@given(st.lists(operations, max_size=40))
def test_no_order_of_them_takes_more_memory_than_the_limits_say(
    given_operations: list[tuple[str, int]],
) -> None:
    limits = EngineLimits(
        num_workers=1,
        max_slots=MAX_SLOTS,
        max_cache_tokens=256,
        max_source_tokens=70,
        max_target_tokens=41,
        max_queue_tokens=999,
        max_beam_size=4,
    )
    most_bytes = limits.most_cache_tokens * SIZES.cache_token_bytes
    plain = PlainTable(limits.max_cache_tokens)

    for name, *arguments in given_operations:
        before, num_held = plain.table.num_bytes, plain.table.num_held
        if name == "allocate" and num_held:  # as `Admission` has it
            tokens = (num_held + arguments[0]) * capacity_for(limits.max_target_tokens)
            if tokens > limits.max_cache_tokens:
                continue
        getattr(plain, name)(*arguments)
        larger = max(plain.table.cache.nbytes, plain.table.cross.nbytes)
        assert max(before, plain.table.num_bytes) + larger <= most_bytes


def test_content_survives_growing_past_several_capacities() -> None:
    plain = PlainTable()
    plain.allocate(3, 5, num_more=0)
    plain.allocate(2, 7, num_more=1)

    for number in range(2 * SMALLEST_CAPACITY + 5):
        plain.step(number)
        plain.check()

    assert plain.table.cache.shape[3] == 4 * SMALLEST_CAPACITY


@pytest.mark.parametrize(
    ("num_tokens", "capacity"), [(1, 32), (32, 32), (33, 64), (64, 64), (65, 128), (1000, 1024)]
)
def test_capacity_is_the_next_power_of_two(num_tokens: int, capacity: int) -> None:
    assert capacity_for(num_tokens) == capacity


def test_room_for_targets_is_given_back_when_nobody_is_left() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    small = table.num_bytes
    slots = table.allocate(1, make_cross(3), 3, BOS_ID)
    table.lengths[slots] = 300
    table.fit_target()
    assert table.num_bytes > small
    table.free(slots)

    table.allocate(1, make_cross(3), 3, BOS_ID)

    assert table.num_bytes == small


def test_room_that_a_long_one_left_is_given_back_for_more_rows() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 256)
    long_slots = table.allocate(1, make_cross(3), 3, BOS_ID)
    table.allocate(1, make_cross(3), 3, BOS_ID)
    table.lengths[long_slots] = 100
    table.fit_target()
    assert table.cache.shape[3] == 128
    table.free(long_slots)

    table.allocate(3, make_cross(3), 3, BOS_ID)

    assert table.cache.shape[1] * table.cache.shape[3] <= 256


@pytest.mark.parametrize(("longest", "left"), [(195, 40), (80, 80)])
def test_room_for_sources_shrinks_where_it_is_more_than_twice_what_is_needed(
    longest: int, left: int
) -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    long_slots = table.allocate(1, make_cross(longest), longest, BOS_ID)
    table.allocate(1, make_cross(38), 38, BOS_ID)
    assert table.cross.shape[3] == -(-longest // 8) * 8

    table.free(long_slots)
    table.allocate(1, make_cross(3), 3, BOS_ID)

    assert table.cross.shape[3] == left


def test_the_generation_changes_exactly_when_an_array_is_replaced() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    generations = [table.generation]

    slots = table.allocate(2, make_cross(3), 3, BOS_ID)
    table.fit_target()
    generations.append(table.generation)  # the same arrays
    table.lengths[slots] = SMALLEST_CAPACITY
    table.fit_target()
    generations.append(table.generation)  # another cache
    table.allocate(1, make_cross(40), 40, BOS_ID)
    generations.append(table.generation)  # another cross

    assert generations == [0, 0, 1, 2]


def test_the_last_slots_move_into_the_holes() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    table.allocate(6, make_cross(3), 3, BOS_ID)

    assert table.free([1, 4]) == {5: 1}
    assert table.free([0, 1, 2]) == {3: 0}
    assert table.free([0]) == {}
    assert table.num_busy == 0


def test_more_slots_than_are_free_is_a_bug() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)

    with pytest.raises(AssertionError, match="This is a bug"):
        table.allocate(MAX_SLOTS + 1, make_cross(3), 3, BOS_ID)


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_few_slots_and_many_advance_alike(count: int) -> None:
    table = SlotTable(SIZES, 2 * FEW, 8_192)
    slots = table.allocate(count + 1, make_cross(3), 3, BOS_ID)[::-1]

    table.advance(slots[1:], range(count))

    assert table.ids[slots].tolist() == [BOS_ID, *range(count)]
    assert table.lengths[slots].tolist() == [0, *[1] * count]


def test_only_what_forks_is_copied() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    table.allocate(4, make_cross(3), 3, BOS_ID)
    table.cache[:, :4, :, 0] = np.arange(4, dtype=np.float32)[:, None, None]

    slots = table.reorder([0, 1, 2, 3], [3, 1, 1, 0])
    table.settle()

    assert slots == [3, 1, 2, 0]
    assert table.cache[0, :4, 0, 0, 0].tolist() == [0.0, 1.0, 1.0, 3.0]


def test_slots_that_nobody_goes_on_in_are_given_back_and_taken_again() -> None:
    table = SlotTable(SIZES, MAX_SLOTS, 8_192)
    slots = table.allocate(1, make_cross(3), 3, BOS_ID, num_more=3)
    table.settle()

    slots = table.reorder(slots, [0, 0, 0, 0])
    table.advance(slots, [4, 5, 6, 7])
    slots = table.reorder(slots, [3, 1])
    moves = table.free([])

    assert slots == [3, 1]
    assert moves == {3: 0}
    assert (table.num_busy, table.num_held, table.ids[:2].tolist()) == (2, 4, [7, 5])
    assert table.reorder([0, 1], [0, 1, 1]) == [0, 1, 2]
    assert table.source_lengths[:3].tolist() == [3, 3, 3]
