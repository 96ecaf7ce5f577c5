"""What a job asks of decoding; jobs that ask for different things share a batch."""

import math
from dataclasses import dataclass
from typing import Literal

LengthPenaltyFormula = Literal["plain", "gnmt"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        seed: what the draws follow from; 64 bits.
        temperature: divides the log probabilities; below 1 the likely ones gain.
        top_k: draw among the so many likeliest; 0 stands for all.
        top_p: draw among the likeliest of those that hold this share of the probability together.
    """

    seed: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_range("seed", self.seed, 0, 2**64 - 1)
        check_range("temperature", self.temperature, math.ulp(0.0))
        check_range("top_k", self.top_k, 0)
        check_range("top_p", self.top_p, math.ulp(0.0), 1.0)


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How one segment is decoded.

    Attributes:
        beam_size: live hypotheses, 1 (greedy) or more, each in a slot of its own.
        num_hypotheses: how many finished hypotheses to return, at most `beam_size`.
        length_penalty: p in score / length ** p.
        length_penalty_formula: "plain", or "gnmt", where (5 + length) / 6 stands for length.
        max_target_tokens: hard limit for one hypothesis, in tokens, `eos` included.
        min_target_tokens: so many tokens come before `eos` may.
        repetition_penalty: above 1, tokens that a hypothesis has already get less likely.
        no_repeat_ngram_size: no n-gram of so many tokens comes twice; 0 allows it.
        suppressed_sequences: tokens that never follow each other in this way.
        silent_ids: tokens that stand for no text, which are never chosen; `eos` is none of them.
        target_prefix: the first tokens of every hypothesis.
        return_alternatives: the hypotheses are the likeliest `beam_size` tokens behind the prefix,
            each gone on from greedily.
        sampling: the hypotheses are `beam_size` samples, each drawn token by token.
    """

    beam_size: int = 1
    num_hypotheses: int = 1
    length_penalty: float = 1.0
    length_penalty_formula: LengthPenaltyFormula = "plain"
    max_target_tokens: int = 256
    min_target_tokens: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    suppressed_sequences: tuple[tuple[int, ...], ...] = ()
    silent_ids: tuple[int, ...] = ()
    target_prefix: tuple[int, ...] = ()
    return_alternatives: bool = False
    sampling: Sampling | None = None

    def __post_init__(self) -> None:
        check_range("beam_size", self.beam_size, 1)
        check_range("num_hypotheses", self.num_hypotheses, 1, self.beam_size)
        check_range("max_target_tokens", self.max_target_tokens, 1)
        check_range("min_target_tokens", self.min_target_tokens, 0, self.max_target_tokens)
        check_range("repetition_penalty", self.repetition_penalty, math.ulp(0.0))
        check_range("no_repeat_ngram_size", self.no_repeat_ngram_size, 0)
        check_range(
            "length of target_prefix", len(self.target_prefix), 0, self.max_target_tokens - 1
        )
        if not all(self.suppressed_sequences):
            raise ValueError("a suppressed sequence has no tokens")
        if self.return_alternatives and self.sampling:
            raise ValueError("alternatives are gone on from greedily, not by sampling")

    def score(self, total: float, length: int) -> float:
        """What hypotheses of different lengths are compared by.

        Args:
            total: sum of log probabilities, `eos` included.
            length: tokens, `eos` included.
        Source: Wu et al. 2016, equation 14, for "gnmt".
        """
        base = length if self.length_penalty_formula == "plain" else (5 + length) / 6
        score: float = total / base**self.length_penalty
        return score


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise ValueError, with the value and the limit, if `value` is outside its range."""
    if not low <= value <= high:  # NaN is outside, too
        raise ValueError(f"{name} is {value}; the limit is {low} to {high}")
