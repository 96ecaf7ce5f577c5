"""A loop is found wherever it is, and however long its phrase; ordinary text has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.loops import MAX_PERIOD, is_loop

Tokens = list[int]


@given(
    st.lists(st.integers(0, 9), max_size=20),
    st.lists(st.integers(0, 9), min_size=3, max_size=MAX_PERIOD),
    st.lists(st.integers(0, 9), max_size=20),
)
def test_four_times_the_same_phrase_is_a_loop(
    before: Tokens, phrase: Tokens, after: Tokens
) -> None:
    assert is_loop(before + 4 * phrase + after)


@given(st.lists(st.integers(), unique=True, max_size=50), st.integers(1, 3))
def test_a_text_three_times_over_is_no_loop(text: Tokens, times: int) -> None:
    assert not is_loop(text * times)


@pytest.mark.parametrize(("times", "expected"), [(11, False), (12, True)])
def test_a_short_run_of_one_token_is_no_loop(times: int, expected: bool) -> None:
    assert is_loop([1, 2] + [7] * times + [3]) is expected


@pytest.mark.parametrize(("period", "expected"), [(MAX_PERIOD, True), (MAX_PERIOD + 1, False)])
def test_a_phrase_may_be_so_long(period: int, expected: bool) -> None:
    assert is_loop(list(range(period)) * 4) is expected


@pytest.mark.parametrize("tokens", [[], [1], [1, 1, 1]])
def test_what_is_short_is_no_loop(tokens: Tokens) -> None:
    assert not is_loop(tokens)
