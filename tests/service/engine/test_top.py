import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.engine.top import top, top_above


@given(
    st.lists(st.sampled_from([-math.inf, -1.5, 0.0, 0.25, 3.0]), min_size=1, max_size=20),
    st.integers(1, 25),
)
def test_the_largest_come_first_and_equal_ones_in_their_order(
    values: list[float], count: int
) -> None:
    wanted = sorted(range(len(values)), key=lambda place: -values[place])[:count]

    assert top(np.array(values, dtype=np.float32), count).tolist() == wanted


@given(
    st.lists(st.sampled_from([-math.inf, -1.5, 0.0, 0.25, 3.0]), min_size=1, max_size=20),
    st.integers(1, 25),
    st.sampled_from([-math.inf, -1.6, 0.0, 0.1, 4.0]),
)
def test_a_bound_takes_nothing_away_that_reaches_it(
    values: list[float], count: int, least: float
) -> None:
    array = np.array(values, dtype=np.float32)

    found = top_above(array, count, least).tolist()

    above = [place for place in top(array, count).tolist() if values[place] >= least]
    assert found[: len(above)] == above
    assert found == top(array, count).tolist()[: len(found)]
