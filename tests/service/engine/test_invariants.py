"""Each thing that must never be is noticed."""

import re
from dataclasses import replace

import pytest

from service.engine.invariants import Snapshot, check_invariants
from service.engine.job import JobState

SOUND = Snapshot(
    num_busy=4,
    num_rows=4,
    max_slots=8,
    slots_by_job=((3,), (0, 2), (1,)),
    states=(JobState.DECODING,) * 3,
    lengths=(5, 0, 5, 9),
    limits=(10, 6, 6, 1),
)


def test_a_sound_engine_violates_nothing() -> None:
    assert check_invariants(SOUND) == []
    assert check_invariants(Snapshot(0, 0, 8, (), (), (), ())) == []


@pytest.mark.parametrize(
    ("slots_by_job", "message"),
    [
        (((3,), (0, 2), (2,)), r"4 slots are busy, but jobs own \[0, 2, 2, 3\]"),
        (((3,), (0, 2)), r"4 slots are busy, but jobs own \[0, 2, 3\]"),
        (((4,), (0, 2), (1,)), r"jobs own \[0, 1, 2, 4\]"),
    ],
    ids=["a slot of two", "a slot of nobody", "a slot that is free"],
)
def test_every_busy_slot_has_one_owner(
    slots_by_job: tuple[tuple[int, ...], ...], message: str
) -> None:
    limits = tuple(10 for slots in slots_by_job for _ in slots)
    snapshot = replace(SOUND, slots_by_job=slots_by_job, limits=limits)

    violations = check_invariants(snapshot)

    assert [text for text in violations if re.search(message, text)]


def test_slots_may_have_holes_between_them_where_a_step_works_on_all() -> None:
    apart = replace(SOUND, slots_by_job=((6,), (0, 2), (1,)), lengths=(5, 0, 5, 0, 0, 0, 9, 0))

    assert check_invariants(replace(apart, num_rows=8)) == []
    assert check_invariants(replace(apart, num_rows=6)) == [
        "4 slots are busy, but jobs own [0, 1, 2, 6]"
    ]


def test_no_more_slots_are_busy_than_there_are() -> None:
    assert check_invariants(replace(SOUND, max_slots=3)) == ["4 busy slots of 3"]


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.DECODING])
def test_only_a_decoding_job_holds_slots(state: JobState) -> None:
    snapshot = replace(SOUND, states=(JobState.DECODING, state, JobState.DECODING))

    assert check_invariants(snapshot) == [f"a job with slots is {state.name}"]


def test_no_hypothesis_is_at_its_limit_and_still_live() -> None:
    assert check_invariants(replace(SOUND, lengths=(5, 1, 5, 9))) == ["slot 1 has 1 tokens of 1"]
    assert check_invariants(replace(SOUND, lengths=(5, 0, 5, 11))) == ["slot 3 has 11 tokens of 10"]
