"""Percentiles and ratios."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.summary import percentile, ratio

VALUES = st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=30)


def test_the_ends_are_the_smallest_and_the_largest() -> None:
    assert percentile([3.0, 1.0, 2.0], 0) == 1.0
    assert percentile([3.0, 1.0, 2.0], 100) == 3.0


def test_between_two_values_it_is_in_proportion() -> None:
    assert percentile([10.0, 20.0], 75) == 17.5


@given(VALUES, st.floats(0, 100))
def test_a_percentile_lies_between_the_ends(values: list[float], percent: float) -> None:
    assert min(values) <= percentile(values, percent) <= max(values)


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_noise_that_both_share_leaves_the_ratio_alone() -> None:
    slow_moments = [1.0, 0.1, 0.5, 2.0]

    found = ratio([3.0 * noise for noise in slow_moments], [2.0 * noise for noise in slow_moments])

    assert (found.low, found.middle, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.rounds == 4


def test_the_spread_holds_the_middle_half_of_the_rounds() -> None:
    found = ratio([1.0, 2.0, 3.0, 4.0, 100.0], [1.0] * 5)

    assert (found.low, found.middle, found.high) == (2.0, 3.0, 4.0)
    assert str(found) == "3.00 (2.00 to 4.00)"
