"""Figures out of measurements: percentiles, and ratios with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of them lie, between neighbours in proportion.

    Raises:
        ValueError: if there are no values.
    """
    if not values:
        raise ValueError("a percentile of no values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as fast one is as another.

    Attributes:
        middle: the median over the rounds, each round against the same round of the other.
        low, high: the quarter and the three quarters, between which half of the rounds lie.
        rounds: how many there were.
    """

    middle: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of two speeds, measured in alternation: round i of one beside round i of the other.

    Neighbours in time share the noise of the machine, which a ratio of two medians would keep.
    """
    paired = [one / other for one, other in zip(ours, theirs, strict=True)]
    return Ratio(
        middle=median(paired),
        low=percentile(paired, 25),
        high=percentile(paired, 75),
        rounds=len(paired),
    )
