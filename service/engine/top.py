"""The largest few of many numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt


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
