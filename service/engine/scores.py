"""What a decoder step says about its rows, read out of numpy once for all of them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """The best tokens of some rows, best first; of equal ones, the lowest id comes first.

    Attributes:
        rows: (asked), which rows they are of.
        token_ids: (asked, candidate) int64.
        logits: (asked, candidate) float32.
    """

    rows: Sequence[int]
    token_ids: Ids
    logits: Floats


class Rows(Protocol):
    """Rows of logits, read when they are asked for."""

    def __getitem__(self, row: int, /) -> Floats:
        """One row, (vocab)."""


class StepScores:
    """All rows of one step. What every row needs is read at once; logits are not copied."""

    def __init__(
        self,
        logits: Rows,
        log_normalisers: Floats,
        best_ids: Ids,
        candidates: Candidates,
        best_logits: Floats | None = None,
    ) -> None:
        """Read the outputs of the decoder graph.

        Args:
            logits: (row, vocab) float32, unnormalised.
            log_normalisers: (row) float32; logits minus this are log probabilities.
            best_ids: (row) int64, the best token of each.
            candidates: of the rows that were asked for.
            best_logits: (row) float32, those of `best_ids`; None looks into `logits`.
        """
        self.logits = logits
        self.log_normalisers: list[float] = log_normalisers.tolist()
        self.best_ids: list[int] = best_ids.tolist()
        self.best_logits: list[float] | None = None if best_logits is None else best_logits.tolist()
        lists = zip(candidates.token_ids.tolist(), candidates.logits.tolist(), strict=True)
        self.candidates = dict(zip(candidates.rows, lists, strict=True))

    def of(self, slots: Sequence[int]) -> "SegmentScores":
        """The rows of one segment."""
        return SegmentScores(self, slots)


class SegmentScores(NamedTuple):
    """The rows of one segment; row i is what stands in slots[i]."""

    step: StepScores
    slots: Sequence[int]

    def best(self, row: int) -> tuple[int, float]:
        """The best token and its log probability."""
        slot = self.slots[row]
        token_id, logits = self.step.best_ids[slot], self.step.best_logits
        if logits is None:
            return token_id, self.log_prob(row, token_id)
        return token_id, logits[slot] - self.step.log_normalisers[slot]

    def log_prob(self, row: int, token_id: int) -> float:
        """Log probability of one token."""
        slot = self.slots[row]
        return self.step.logits[slot].item(token_id) - self.step.log_normalisers[slot]

    def candidates(self, row: int) -> Iterator[tuple[int, float]]:
        """The best tokens and their log probabilities, best first; none if not asked for."""
        slot = self.slots[row]
        normaliser = self.step.log_normalisers[slot]
        token_ids, logits = self.step.candidates.get(slot, ([], []))
        for token_id, logit in zip(token_ids, logits, strict=True):
            yield token_id, logit - normaliser

    def logits(self, row: int) -> tuple[Floats, float]:
        """A copy of the logits, (vocab), and what minus them is log probabilities."""
        slot = self.slots[row]
        return self.step.logits[slot].copy(), self.step.log_normalisers[slot]
