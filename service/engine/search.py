"""Choosing tokens: greedy and beam search over the scores of one segment's hypotheses.

Pure: scores in, decisions out; no graph, no cache, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.engine.job import DecodingOptions, Hypothesis

Floats = npt.NDArray[np.float32]


class StepScores(NamedTuple):
    """What the decoder graph says about some hypotheses.

    Attributes:
        logits: (hypothesis, vocab) float32, unnormalised.
        log_normalisers: (hypothesis) float32; logits minus this are log probabilities.
        best_ids: (hypothesis) int64, the best token of each.
    """

    logits: Floats
    log_normalisers: Floats
    best_ids: npt.NDArray[np.int64]

    def of(self, slots: Sequence[int]) -> "StepScores":
        """A copy of the rows of one segment."""
        rows = list(slots)
        return StepScores(self.logits[rows], self.log_normalisers[rows], self.best_ids[rows])


class Choice(NamedTuple):
    """How each live hypothesis goes on: from which one before, with which token."""

    parents: list[int]
    token_ids: list[int]


@dataclass
class GreedySearch:
    """Take the best token until `eos` or the limit."""

    options: DecodingOptions
    eos_id: int
    token_ids: list[int] = field(default_factory=list)
    total: float = 0.0

    def advance(self, scores: StepScores) -> Choice | None:
        """Extend the one hypothesis; None when it has ended."""
        token_id = int(scores.best_ids[0])
        self.token_ids.append(token_id)
        self.total += float(scores.logits[0, token_id]) - float(scores.log_normalisers[0])
        if token_id == self.eos_id or len(self.token_ids) == self.options.max_target_tokens:
            return None
        return Choice([0], [token_id])

    def settled_ids(self) -> tuple[int, ...]:
        """The tokens so far: none is taken back."""
        return tuple(self.token_ids)

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The one hypothesis, once it has ended."""
        return (_finish(self.token_ids, self.total, self.eos_id, self.options.length_penalty),)


@dataclass
class _Live:
    """A hypothesis still growing: its tokens and the sum of their log probabilities."""

    token_ids: list[int]
    total: float


class BeamSearch:
    """Keep the `beam_size` best live hypotheses until no live one can still win.

    In each step the best 2 * beam_size extensions are looked at, best first, so that
    beam_size live ones remain even if as many end; an extension by `eos` ends a hypothesis if
    it is among the best beam_size.

    Source: Wu et al. 2016, section 7, with score / length ** p as the only term.
    """

    def __init__(self, options: DecodingOptions, eos_id: int) -> None:
        self._options = options
        self._eos_id = eos_id
        # The first step has one hypothesis; the others are copies that cannot be chosen.
        self._live = [_Live([], 0.0)] + [_Live([], -np.inf) for _ in range(options.beam_size - 1)]
        self._finished: list[Hypothesis] = []

    def advance(self, scores: StepScores) -> Choice | None:
        """Extend all hypotheses; None when the search has ended."""
        beam_size = self._options.beam_size
        grown: list[_Live] = []
        choice = Choice([], [])
        for rank, (total, parent, token_id) in enumerate(self._best_extensions(scores)):
            token_ids = [*self._live[parent].token_ids, token_id]
            if token_id != self._eos_id:
                grown.append(_Live(token_ids, total))
                choice.parents.append(parent)
                choice.token_ids.append(token_id)
            elif rank < beam_size:
                self._finish(_Live(token_ids, total))
            if len(grown) == beam_size:
                break
        self._live = grown
        if len(grown[0].token_ids) == self._options.max_target_tokens:
            for live in grown:
                self._finish(live)
            return None
        return None if self._cannot_improve() else choice

    def _best_extensions(self, scores: StepScores) -> list[tuple[float, int, int]]:
        """(total, parent, token id) of the best 2 * beam_size extensions, best first."""
        before = np.array([live.total for live in self._live])
        totals = scores.logits.astype(np.float64)
        totals += (before - scores.log_normalisers)[:, None]  # (hypothesis, vocab)
        vocab_size = totals.shape[1]
        flat = totals.ravel()
        count = min(2 * self._options.beam_size, flat.size)
        places = np.argpartition(flat, flat.size - count)[-count:]
        places = places[np.lexsort((places, -flat[places]))]
        return [(float(flat[place]), *divmod(int(place), vocab_size)) for place in places]

    def _finish(self, live: _Live) -> None:
        penalty = self._options.length_penalty
        self._finished.append(_finish(live.token_ids, live.total, self._eos_id, penalty))
        self._finished.sort(key=lambda hypothesis: -hypothesis.score)

    def _cannot_improve(self) -> bool:
        """Whether the best beam_size finished hypotheses are final.

        A live total only falls as tokens are added. At best it stays, over the longest
        length possible; where long ones are not favoured, over the next one.
        """
        if len(self._finished) < self._options.beam_size:
            return False
        penalty = self._options.length_penalty
        length = len(self._live[0].token_ids) + 1
        longest = self._options.max_target_tokens if penalty > 0 else length
        best_possible: float = max(live.total for live in self._live) / longest**penalty
        return best_possible <= self._finished[self._options.beam_size - 1].score

    def settled_ids(self) -> tuple[int, ...]:
        """What all hypotheses begin with that can still win, live or finished."""
        able = [tuple(live.token_ids) for live in self._live if live.total > -np.inf]
        return _common_prefix([*able, *(hypothesis.token_ids for hypothesis in self._finished)])

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The best `num_hypotheses`, best first, once the search has ended."""
        return tuple(self._finished[: self._options.num_hypotheses])


Search = GreedySearch | BeamSearch


def start_search(options: DecodingOptions, eos_id: int) -> Search:
    """The search that `options` ask for."""
    if options.beam_size == 1:
        return GreedySearch(options, eos_id)
    return BeamSearch(options, eos_id)


def _common_prefix(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first, last = min(rows), max(rows)  # those between share what these two share
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:length]


def _finish(token_ids: list[int], total: float, eos_id: int, length_penalty: float) -> Hypothesis:
    has_ended = token_ids[-1] == eos_id
    return Hypothesis(
        token_ids=tuple(token_ids[:-1] if has_ended else token_ids),
        score=total / len(token_ids) ** length_penalty,
        finish_reason="stop" if has_ended else "length",
    )
