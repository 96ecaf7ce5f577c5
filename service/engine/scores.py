"""What a decoder step says about its rows, read out of numpy once for all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class StepScores:
    """All rows of one step. What every row needs is read at once; logits are not copied."""

    def __init__(
        self, logits: Floats, log_normalisers: Floats, best_ids: npt.NDArray[np.int64]
    ) -> None:
        """Read the outputs of the decoder graph.

        Args:
            logits: (row, vocab) float32, unnormalised.
            log_normalisers: (row) float32; logits minus this are log probabilities.
            best_ids: (row) int64, the best token of each.
        """
        self.logits = logits
        self.log_normalisers: list[float] = log_normalisers.tolist()
        self.best_ids: list[int] = best_ids.tolist()
        self.best_logits: list[float] = logits[np.arange(len(best_ids)), best_ids].tolist()

    def of(self, slots: Sequence[int]) -> "SegmentScores":
        """The rows of one segment."""
        return SegmentScores(self, slots)


class SegmentScores(NamedTuple):
    """The rows of one segment; row i is what stands in slots[i]."""

    step: StepScores
    slots: Sequence[int]

    def best(self, row: int) -> tuple[int, float]:
        """The best token and its log probability."""
        step, slot = self.step, self.slots[row]
        return step.best_ids[slot], step.best_logits[slot] - step.log_normalisers[slot]

    def log_prob(self, row: int, token_id: int) -> float:
        """Log probability of one token."""
        slot = self.slots[row]
        return float(self.step.logits[slot, token_id]) - self.step.log_normalisers[slot]

    def logits(self, row: int) -> tuple[Floats, float]:
        """A copy of the logits, (vocab), and what minus them is log probabilities."""
        slot = self.slots[row]
        return self.step.logits[slot].copy(), self.step.log_normalisers[slot]
