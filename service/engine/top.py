"""The largest few of many numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

MARGIN = 1e-3
"""What a bound may be off by, as it is compared in the precision of the values."""


def top(values: npt.NDArray[np.floating[Any]], count: int) -> npt.NDArray[np.int64]:
    """Places of the `count` largest values, largest first; of equal ones, the first come first.

    A threshold is found by `numpy.partition`, which is faster than its sibling for places.

    Args:
        values: (n), without NaN.
        count: at least 1; more than n is all of them.
    """
    count = min(count, values.size)
    least = np.partition(values, -count)[-count]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:count]


def top_above(
    values: npt.NDArray[np.floating[Any]], count: int, least: float
) -> npt.NDArray[np.int64]:
    """As `top`, and perhaps without some that are below `least`: faster if few are above it."""
    if least == -np.inf:
        return top(values, count)
    places = np.flatnonzero(values >= least - MARGIN)
    return places[top(values[places], count)] if places.size else places
