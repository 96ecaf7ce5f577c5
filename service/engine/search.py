"""Choosing tokens from the scores of one segment's hypotheses: greedy, beam search, sampling.

Pure: scores in, decisions out; no graph, no cache, no clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions
from service.engine.rules import Rules
from service.engine.sampling import draw
from service.engine.scores import SegmentScores
from service.engine.top import top, top_above


class Choice(NamedTuple):
    """How each live hypothesis goes on: from which one before, with which token.

    There may be fewer of them than before, or more: up to `beam_size`.
    """

    parents: list[int]
    token_ids: list[int]


@dataclass
class Growing:
    """A hypothesis on its way.

    Attributes:
        token_ids: tokens so far, without `bos`.
        log_probs: the log probability of each.
        total: their sum.
        rows: the place among the live hypotheses that each token was chosen at.
    """

    token_ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    total: float = 0.0
    rows: list[int] = field(default_factory=list)

    def append(self, token_id: int, log_prob: float, row: int) -> None:
        """Go on with a token."""
        self.token_ids.append(token_id)
        self.log_probs.append(log_prob)
        self.total += log_prob
        self.rows.append(row)

    def extended(self, token_id: int, log_prob: float, row: int) -> "Growing":
        """A hypothesis that goes on from this one, which stays as it is."""
        return Growing(
            [*self.token_ids, token_id],
            [*self.log_probs, log_prob],
            self.total + log_prob,
            [*self.rows, row],
        )

    def finish(self, options: DecodingOptions, eos_id: int) -> Hypothesis:
        """This hypothesis, ended by `eos` or cut by the limit."""
        has_ended = self.token_ids[-1] == eos_id
        return Hypothesis(
            token_ids=tuple(self.token_ids[:-1] if has_ended else self.token_ids),
            token_log_probs=tuple(self.log_probs),
            score=options.score(self.total, len(self.token_ids)),
            finish_reason="stop" if has_ended else "length",
            rows=tuple(self.rows),
        )


class SeparateSearch:
    """Extend every hypothesis by itself: by its best token, or by one that is drawn.

    With one hypothesis and no draw this is greedy search. With alternatives, hypothesis i takes the
    i-th best token behind the prefix. A hypothesis that has ended keeps its slot, and is fed its
    last token, until the others have ended, too.

    Attributes:
        num_rows: hypotheses at the start.
        reads_candidates, reads_logits: see `BeamSearch`.
    """

    reads_candidates = False

    def __init__(self, options: DecodingOptions, eos_id: int) -> None:
        self._options = options
        self._eos_id = eos_id
        self._rules = Rules(options, eos_id)
        self.num_rows = options.beam_size
        self._hypotheses = [Growing() for _ in range(options.beam_size)]
        self._rows = list(range(options.beam_size))
        self._live = self._rows  # those that have not ended
        self.reads_logits = options.sampling is not None

    def advance(self, scores: SegmentScores) -> Choice | None:
        """Extend what has not ended; None when all has."""
        live = []
        for row in self._live:
            hypothesis = self._hypotheses[row]
            token_id, log_prob = self._choose(scores, row)
            hypothesis.append(token_id, log_prob, row)
            is_cut = len(hypothesis.token_ids) == self._options.max_target_tokens
            if token_id != self._eos_id and not is_cut:
                live.append(row)
        self._live = live
        if not live:
            return None
        return Choice(self._rows, [hypothesis.token_ids[-1] for hypothesis in self._hypotheses])

    def _choose(self, scores: SegmentScores, row: int) -> tuple[int, float]:
        """The next token of a hypothesis and its log probability."""
        options, history = self._options, self._hypotheses[row].token_ids
        length, prefix = len(history), options.target_prefix
        if length < len(prefix):
            return prefix[length], scores.log_prob(row, prefix[length])
        is_branching = options.return_alternatives and length == len(prefix)
        best_id, log_prob = scores.best(row)
        if not (is_branching or options.sampling) and self._rules.leave(best_id):
            return best_id, log_prob
        logits, normaliser = scores.logits(row)
        normaliser = self._rules.apply(logits, normaliser, history)
        if options.sampling:
            token_id = draw(logits, options.sampling, sample=row, position=length)
        elif is_branching:
            token_id = int(top(logits, row + 1)[row])
        else:
            token_id = int(logits.argmax())
        return token_id, float(logits[token_id]) - normaliser

    def settled_ids(self) -> tuple[int, ...]:
        """What all hypotheses begin with: with one of them, its tokens so far."""
        return _common_prefix([tuple(each.token_ids) for each in self._hypotheses])

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The best `num_hypotheses`, best first, once all have ended.

        They are fewer where the rules allow fewer.
        """
        finished = [
            hypothesis.finish(self._options, self._eos_id)
            for hypothesis in self._hypotheses
            if hypothesis.total > -np.inf
        ]
        finished.sort(key=lambda hypothesis: -hypothesis.score)
        return tuple(finished[: self._options.num_hypotheses])


class BeamSearch:
    """Keep the `beam_size` best live hypotheses until no live one can still win.

    In each step the best 2 * beam_size extensions are looked at, best first, so that
    beam_size live ones remain even if as many end; an extension by `eos` ends a hypothesis if
    it is among the best beam_size. A hypothesis that cannot win any more is not gone on from: all
    that rank behind it cannot either, so nothing else changes.

    Attributes:
        num_rows: hypotheses at the start.
        reads_candidates: whether the best tokens of its rows are worth asking the graph for.
        reads_logits: whether all logits of its rows are worth reading.
    Source: Wu et al. 2016, section 7, with the length penalty as the only term.
    """

    num_rows = 1

    def __init__(self, options: DecodingOptions, eos_id: int) -> None:
        self._options = options
        self._eos_id = eos_id
        self._rules = Rules(options, eos_id)
        self.reads_candidates = self._rules.only_silence
        self.reads_logits = not self.reads_candidates
        self._live = [Growing()]  # up to beam_size, best first
        self._finished: list[Hypothesis] = []

    def advance(self, scores: SegmentScores) -> Choice | None:
        """Extend all hypotheses; None when the search has ended."""
        options = self._options
        length = len(self._live[0].token_ids)
        if length < len(options.target_prefix):
            return self._force(scores, options.target_prefix[length])
        grown: list[Growing] = []
        for rank, (parent, token_id, log_prob) in enumerate(self._best_extensions(scores)):
            extended = self._live[parent].extended(token_id, log_prob, parent)
            if token_id != self._eos_id:
                grown.append(extended)
            elif rank < options.beam_size:
                self._finish(extended)
            if len(grown) == options.beam_size:
                break
        if length + 1 == options.max_target_tokens:
            for hypothesis in grown:
                self._finish(hypothesis)
            return None
        self._live = self._able_to_win(grown)
        if not self._live:
            return None
        return Choice(
            [each.rows[-1] for each in self._live], [each.token_ids[-1] for each in self._live]
        )

    def _force(self, scores: SegmentScores, token_id: int) -> Choice:
        """Go on with the next token of the prefix."""
        self._live[0].append(token_id, scores.log_prob(0, token_id), row=0)
        return Choice([0], [token_id])

    def _best_extensions(self, scores: SegmentScores) -> list[tuple[int, int, float]]:
        """(parent, token id, log probability) of the best 2 * beam_size extensions, best first.

        They are fewer where the rules leave fewer. Hypotheses come best first, so that after the
        first one few tokens of the others are worth a look.
        """
        count = 2 * self._options.beam_size
        ranked: list[tuple[float, int, int, float]] = []
        for row, hypothesis in enumerate(self._live):
            worst = ranked[-1][0] if len(ranked) == count else np.inf
            likeliest = self._likeliest(scores, row, -worst - hypothesis.total)
            for token_id, log_prob in islice(likeliest, count):
                cost = -hypothesis.total - log_prob
                if cost >= worst:
                    break
                ranked.append((cost, row, token_id, log_prob))
            ranked = sorted(ranked)[:count]
        return [(parent, token_id, log_prob) for _, parent, token_id, log_prob in ranked]

    def _likeliest(
        self, scores: SegmentScores, row: int, least: float
    ) -> Iterator[tuple[int, float]]:
        """At least the best 2 * beam_size tokens behind a hypothesis, best first.

        Those whose log probability is below `least` may be missing. The logits are ranked only if
        too few of the graph's candidates may be chosen.
        """
        count, num_yielded = 2 * self._options.beam_size, 0
        for token_id, log_prob in scores.candidates(row):
            if self._rules.leave(token_id):
                num_yielded += 1
                yield token_id, log_prob
        if num_yielded < count:
            logits, normaliser = scores.logits(row)
            normaliser = self._rules.apply(logits, normaliser, self._live[row].token_ids)
            token_ids = top_above(logits, count, least + normaliser)[num_yielded:]
            for token_id, logit in zip(token_ids.tolist(), logits[token_ids].tolist(), strict=True):
                yield token_id, logit - normaliser

    def _finish(self, hypothesis: Growing) -> None:
        self._finished.append(hypothesis.finish(self._options, self._eos_id))
        self._finished.sort(key=lambda finished: -finished.score)

    def _able_to_win(self, grown: list[Growing]) -> list[Growing]:
        """Those that may still come before what is finished, which are the first ones.

        A live total only falls as tokens are added. At best it stays, over the longest
        length possible; where long ones are not favoured, over the next one.
        """
        options = self._options
        if len(self._finished) < options.num_hypotheses or not grown:
            return grown
        length = len(grown[0].token_ids) + 1
        longest = options.max_target_tokens if options.length_penalty > 0 else length
        least = self._finished[options.num_hypotheses - 1].score
        return [each for each in grown if options.score(each.total, longest) > least]

    def settled_ids(self) -> tuple[int, ...]:
        """What all hypotheses begin with that can still win, live or finished."""
        live = [tuple(hypothesis.token_ids) for hypothesis in self._live]
        return _common_prefix([*live, *(finished.token_ids for finished in self._finished)])

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The best `num_hypotheses`, best first, once the search has ended.

        They are fewer where the rules allow fewer.
        """
        return tuple(self._finished[: self._options.num_hypotheses])


Search = SeparateSearch | BeamSearch


def start_search(options: DecodingOptions, eos_id: int) -> Search:
    """The search that `options` ask for."""
    if options.beam_size == 1 or options.return_alternatives or options.sampling:
        return SeparateSearch(options, eos_id)
    return BeamSearch(options, eos_id)


def _common_prefix(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first, last = min(rows), max(rows)  # those between share what these two share
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:length]
