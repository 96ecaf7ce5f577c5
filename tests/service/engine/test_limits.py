"""Who comes in next: by age, as many as fit, and everybody at last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.limits import ENCODE_TOKENS, num_admissible

MAX_SLOTS = 8

wants_of_many = st.lists(st.tuples(st.integers(1, MAX_SLOTS), st.integers(1, 2 * ENCODE_TOKENS)))


@pytest.mark.parametrize(
    ("wants", "free_slots", "admitted"),
    [
        ([], 8, 0),
        ([(1, 10)], 0, 0),
        ([(1, 10), (4, 10), (3, 10)], 8, 3),
        ([(1, 10), (4, 10), (4, 10)], 8, 2),
        ([(9, 10), (1, 10)], 8, 0),
        ([(1, ENCODE_TOKENS), (1, 1)], 8, 1),
        ([(1, ENCODE_TOKENS - 1), (1, 1), (1, 1)], 8, 2),
    ],
)
def test_as_many_come_in_as_slots_and_tokens_allow(
    wants: list[tuple[int, int]], free_slots: int, admitted: int
) -> None:
    assert num_admissible(wants, free_slots) == admitted


def test_a_segment_beyond_the_token_budget_comes_in_alone() -> None:
    assert num_admissible([(1, 2 * ENCODE_TOKENS), (1, 1)], 8) == 1


@given(wants_of_many, st.integers(0, MAX_SLOTS))
def test_nobody_overtakes_and_no_more_come_in_than_fit(
    wants: list[tuple[int, int]], free_slots: int
) -> None:
    count = num_admissible(wants, free_slots)

    assert sum(slots for slots, _ in wants[:count]) <= free_slots
    if count > 1:
        assert sum(tokens for _, tokens in wants[:count]) <= ENCODE_TOKENS
    if count < len(wants):  # one more would have been too many
        too_many_slots = sum(slots for slots, _ in wants[: count + 1]) > free_slots
        too_many_tokens = sum(tokens for _, tokens in wants[: count + 1]) > ENCODE_TOKENS
        assert too_many_slots or (count and too_many_tokens)


@given(wants_of_many)
def test_with_all_slots_free_somebody_always_comes_in(wants: list[tuple[int, int]]) -> None:
    waiting = list(wants)
    while waiting:
        count = num_admissible(waiting, MAX_SLOTS)
        assert count > 0
        del waiting[:count]
