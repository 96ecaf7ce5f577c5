"""Who comes in next: as many as fit, each worker its part, and everybody at last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.limits import (
    ENCODE_TOKENS,
    GATHER_ROW_STEPS,
    GATHER_ROWS,
    GATHER_TOKENS,
    Admission,
    Gathering,
    capacity_for,
    fair_rows,
)

MAX_SLOTS, MAX_TOKENS = 8, 512

Want = tuple[int, int, int]  # rows, source tokens, target tokens
wants_of_many = st.lists(
    st.tuples(
        st.integers(1, MAX_SLOTS), st.integers(1, 2 * ENCODE_TOKENS), st.integers(1, 2 * MAX_TOKENS)
    )
)


def room(num_busy: int = 0, longest: int = 1, fair: int = 99) -> Admission:
    return Admission(
        num_busy=num_busy,
        max_slots=MAX_SLOTS,
        max_cache_tokens=MAX_TOKENS,
        longest=longest,
        fair_rows=fair,
        encode_tokens=ENCODE_TOKENS,
    )


def num_admitted(room: Admission, wants: list[Want]) -> int:
    for count, (rows, source, target) in enumerate(wants):
        if not room.admits(rows=rows, source_tokens=source, target_tokens=target):
            return count
    return len(wants)


@pytest.mark.parametrize(
    ("wants", "num_busy", "admitted"),
    [
        ([], 0, 0),
        ([(1, 10, 9)], 8, 0),
        ([(1, 10, 9), (4, 10, 9), (3, 10, 9)], 0, 3),
        ([(1, 10, 9), (4, 10, 9), (4, 10, 9)], 0, 2),
        ([(8, 10, 9), (1, 10, 9)], 1, 0),
        ([(1, ENCODE_TOKENS, 9), (1, 1, 9)], 0, 1),
        ([(1, ENCODE_TOKENS - 1, 9), (1, 1, 9), (1, 1, 9)], 0, 2),
        ([(1, ENCODE_TOKENS + 1, 9), (1, 1, 9)], 1, 1),
        ([(1, 9, 128), (3, 9, 128), (1, 9, 128)], 0, 2),
        ([(1, 9, 129), (1, 9, 9), (1, 9, 9)], 0, 2),
        ([(1, 9, 256)], 2, 0),
    ],
)
def test_as_many_come_in_as_slots_memory_and_the_encoder_allow(
    wants: list[Want], num_busy: int, admitted: int
) -> None:
    assert num_admitted(room(num_busy), wants) == admitted


def test_rows_that_are_there_count_with_the_longest_of_them() -> None:
    assert num_admitted(room(num_busy=3, longest=128), [(1, 9, 9), (1, 9, 9)]) == 1


def test_a_worker_leaves_to_others_what_is_theirs() -> None:
    assert num_admitted(room(fair=2), [(1, 9, 9)] * 4) == 2
    assert num_admitted(room(num_busy=2, fair=2), [(1, 9, 9)]) == 0


@pytest.mark.parametrize(
    ("running", "waiting", "workers", "rows"), [(0, 1, 2, 1), (8, 1, 2, 5), (8, 0, 1, 8)]
)
def test_rows_are_shared_out_evenly(running: int, waiting: int, workers: int, rows: int) -> None:
    assert fair_rows(running, waiting, workers) == rows


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 9))
def test_some_worker_always_has_less_than_its_part(rows: list[int], waiting: int) -> None:
    """Else a job would wait while nobody may take it."""
    assert min(rows) < fair_rows(sum(rows), waiting, len(rows))


@given(wants_of_many, st.integers(1, MAX_SLOTS))
def test_nobody_overtakes_and_no_more_come_in_than_fit(wants: list[Want], num_busy: int) -> None:
    def fits(some: list[Want]) -> bool:
        rows = num_busy + sum(rows for rows, _, _ in some)
        tokens = rows * capacity_for(max((target for _, _, target in some), default=1))
        is_encoded = len(some) == 1 or sum(source for _, source, _ in some) <= ENCODE_TOKENS
        return rows <= MAX_SLOTS and tokens <= MAX_TOKENS and is_encoded

    count = num_admitted(room(num_busy), wants)

    assert count == 0 or fits(wants[:count])
    assert count == len(wants) or not fits(wants[: count + 1])


@given(wants_of_many)
def test_a_worker_without_work_always_takes_somebody(wants: list[Want]) -> None:
    waiting = list(wants)
    while waiting:
        count = num_admitted(room(), waiting)
        assert count > 0
        del waiting[:count]


@pytest.mark.parametrize("rows", [1, 4])
def test_few_tokens_wait_for_more_until_idle_rows_cost_too_much(rows: int) -> None:
    gathering = Gathering()
    few = {"num_busy": GATHER_ROWS, "num_free": 9, "waiting_rows": rows, "waiting_tokens": 5}
    steps = GATHER_ROW_STEPS // rows

    assert [gathering.holds(**few) for _ in range(steps + 2)] == [*([True] * steps), False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"num_busy": GATHER_ROWS - 1},
        {"waiting_tokens": GATHER_TOKENS},
        {"waiting_tokens": 2 * GATHER_TOKENS, "waiting_rows": 18},
    ],
)
def test_nobody_is_held_back_without_gain(change: dict[str, int]) -> None:
    few = {"num_busy": GATHER_ROWS, "num_free": 9, "waiting_rows": 1, "waiting_tokens": 5}

    assert not Gathering().holds(**{**few, **change})


def test_only_tokens_that_there_is_room_for_count_as_company() -> None:
    many = {"waiting_rows": 90, "waiting_tokens": 9 * GATHER_TOKENS}

    assert Gathering().holds(num_busy=GATHER_ROWS, num_free=9, **many)
    assert not Gathering().holds(num_busy=GATHER_ROWS, num_free=10, **many)


def test_a_wait_for_room_is_not_a_wait_for_company() -> None:
    gathering = Gathering()
    for _ in range(GATHER_ROW_STEPS + 1):
        assert gathering.holds(num_busy=9, num_free=0, waiting_rows=1, waiting_tokens=5)

    assert gathering.num_idle == 0
