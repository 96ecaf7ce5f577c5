"""Greedy and beam search, slow and plain: the oracle that the engine is measured against."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model.batching import pad
from model.layers import LayerCache
from model.masks import padding_mask
from model.tokenizer import Tokenizer
from model.transformer import Transformer


class LengthPenalty(NamedTuple):
    """How hypotheses of different lengths are compared.

    `formula` is "plain", score / length ** power, or "gnmt", score / ((5 + length) / 6) ** power.

    Source: Wu et al. 2016, equation 14, for "gnmt".
    """

    power: float
    formula: Literal["plain", "gnmt"] = "plain"

    def score(self, total: float, length: int) -> float:
        """The score of a sum of log probabilities over `length` tokens, eos included."""
        base = length if self.formula == "plain" else (5 + length) / 6
        return total / base**self.power


PLAIN_MEAN = LengthPenalty(1.0)

SHRINK = 0.8
"""A batch drops its finished rows once no more than this part lives: dropping copies the caches."""


class Hypothesis(NamedTuple):
    """A finished translation: tokens without bos and eos, and `LengthPenalty.score`.

    `is_complete` is False where the length limit cut it.
    """

    token_ids: list[int]
    score: float
    is_complete: bool


def reorder(caches: list[LayerCache], rows: Tensor) -> list[LayerCache]:
    """The caches of hypotheses that descend from `rows`: their numbers, or a mask."""
    return [LayerCache(*(part[rows] for part in cache)) for cache in caches]


@torch.inference_mode()
def greedy_search(
    model: Transformer, tokenizer: Tokenizer, sources: Sequence[Sequence[int]], max_tokens: int
) -> list[Hypothesis]:
    """Take the best token until eos, all `sources` in one padded batch.

    Args:
        sources: token ids with tag and eos.
        max_tokens: hard limit for one hypothesis, eos included.
    """
    device = model.embedding.weight.device
    src_ids = pad(sources, tokenizer.pad_id).to(device)  # (batch, source)
    src_mask = padding_mask(src_ids, tokenizer.pad_id)
    caches = model.decoder.start(model.encode(src_ids, src_mask))
    token_ids = torch.full((len(sources),), tokenizer.bos_id, device=device)
    chosen = torch.full((len(sources), max_tokens), tokenizer.eos_id, device=device)
    scores = torch.zeros(len(sources), dtype=torch.float64, device=device)
    rows = torch.arange(len(sources), device=device)  # the sentence that each row belongs to
    is_live = torch.ones(len(sources), dtype=torch.bool, device=device)
    for position in range(max_tokens):
        logits, caches = model.decode_step(token_ids, position, caches, src_mask)
        logits = logits.float()
        best, token_ids = logits.max(dim=-1)
        chosen[rows, position] = token_ids
        scores[rows] += (best - logits.logsumexp(dim=-1)) * is_live
        is_live &= token_ids != tokenizer.eos_id
        num_live = int(is_live.sum())
        if num_live == 0:
            break
        if num_live <= SHRINK * len(rows):
            rows, caches = rows[is_live], reorder(caches, is_live)
            src_mask, token_ids, is_live = src_mask[is_live], token_ids[is_live], is_live[is_live]
    return [
        _finish(_until(tokens, tokenizer.eos_id), score, tokenizer.eos_id, PLAIN_MEAN)
        for tokens, score in zip(chosen.tolist(), scores.tolist(), strict=True)
    ]


def _until(tokens: list[int], eos_id: int) -> list[int]:
    """`tokens` up to the first eos, which is kept."""
    return tokens[: tokens.index(eos_id) + 1] if eos_id in tokens else tokens


def _finish(
    tokens: list[int], total: float, eos_id: int, length_penalty: LengthPenalty
) -> Hypothesis:
    is_complete = tokens[-1] == eos_id
    score = length_penalty.score(total, len(tokens))
    return Hypothesis(tokens[:-1] if is_complete else tokens, score, is_complete)


class _Beam:
    """The live and the finished hypotheses of one source."""

    def __init__(
        self, size: int, eos_id: int, length_penalty: LengthPenalty, max_tokens: int
    ) -> None:
        self.live: list[tuple[list[int], float]] = [([], 0.0)]  # tokens, sum of log probabilities
        self.finished: list[Hypothesis] = []
        self._size = size
        self._eos_id = eos_id
        self._length_penalty = length_penalty
        self._max_tokens = max_tokens

    def grow(self, log_probs: Float[Tensor, "live vocab"]) -> list[int]:
        """Extend the live hypotheses by a token each; return which one each descends from."""
        scores = log_probs.new_tensor([[score] for _, score in self.live])  # (live, 1)
        totals = scores + log_probs
        best = totals.flatten().topk(min(2 * self._size, totals.numel()))
        grown: list[tuple[list[int], float]] = []
        parents: list[int] = []
        for rank, (total, place) in enumerate(
            zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ):
            parent, token_id = divmod(place, log_probs.size(1))
            tokens = [*self.live[parent][0], token_id]
            if token_id != self._eos_id:
                grown.append((tokens, total))
                parents.append(parent)
            elif rank < self._size:
                self.finished.append(self._finish(tokens, total))
            if len(grown) == self._size:
                break
        self.live = grown
        return parents

    def _finish(self, tokens: list[int], total: float) -> Hypothesis:
        return _finish(tokens, total, self._eos_id, self._length_penalty)

    @property
    def best(self) -> list[Hypothesis]:
        """The best of what is finished, best first."""
        return sorted(self.finished, key=lambda hypothesis: -hypothesis.score)[: self._size]

    @property
    def is_final(self) -> bool:
        """Whether no live hypothesis can still become one of `best`.

        A live score only falls as tokens are added; at best it stays and is divided by the
        longest length still possible (by its own next length if long ones are not favoured).
        """
        if len(self.finished) < self._size:
            return False
        longest = self._max_tokens
        if self._length_penalty.power <= 0:
            longest = min(len(self.live[0][0]) + 1, longest)
        best_possible = self._length_penalty.score(max(score for _, score in self.live), longest)
        return best_possible <= self.best[-1].score

    def cut(self) -> None:
        """Finish what lives, as the limit is reached."""
        self.finished += [self._finish(tokens, total) for tokens, total in self.live]


@torch.inference_mode()
def beam_search(
    model: Transformer,
    tokenizer: Tokenizer,
    source: Sequence[int],
    *,
    beam_size: int,
    length_penalty: LengthPenalty,
    max_tokens: int,
) -> list[Hypothesis]:
    """All finished hypotheses of one source, best first, at least `beam_size` if the limit allows.

    In each step the best `2 * beam_size` extensions of the live hypotheses are looked at,
    best first, so that `beam_size` live ones remain even if as many end. An extension by eos
    ends a hypothesis if it is among the best `beam_size`. The search stops when `beam_size`
    hypotheses are finished and no live one could still beat the worst of the best of them,
    or at the limit, where what lives is cut and counts as finished.

    Source: Wu et al. 2016, section 7, with the length penalty as the only term.
    """
    device = model.embedding.weight.device
    src_ids = torch.tensor([list(source)], device=device)  # (1, source)
    src_mask = padding_mask(src_ids, tokenizer.pad_id)
    caches = model.decoder.start(model.encode(src_ids, src_mask))
    beam = _Beam(beam_size, tokenizer.eos_id, length_penalty, max_tokens)
    last_ids = [tokenizer.bos_id]
    for position in range(max_tokens):
        token_ids = torch.tensor(last_ids, device=device)
        mask = src_mask.expand(len(last_ids), -1)
        logits, caches = model.decode_step(token_ids, position, caches, mask)
        parents = beam.grow(logits.float().log_softmax(dim=-1))
        if beam.is_final:
            return beam.best
        last_ids = [tokens[-1] for tokens, _ in beam.live]
        caches = reorder(caches, torch.tensor(parents, device=device))
    beam.cut()
    return beam.best
