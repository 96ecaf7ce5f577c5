"""Searches driven without an engine, on models of four tokens, and a search through everything."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions
from service.engine.scores import Floats, SegmentScores, StepScores
from service.engine.search import BeamSearch, Search
from tests.service.engine.toy_runner import rank

EOS_ID = 0
VOCAB_SIZE = 4
MAX_TOKENS = 4
ALL = VOCAB_SIZE**MAX_TOKENS  # more hypotheses than can ever live
TOLERANCE = 1e-5  # log probabilities come as float32

Model = Callable[[Sequence[int]], Floats]


def make_model(seed: int) -> Model:
    """Random scores that follow from the tokens so far."""

    def logits(history: Sequence[int]) -> Floats:
        generator = np.random.default_rng([seed, 99, *history])
        return generator.normal(size=VOCAB_SIZE).astype(np.float32)

    return logits


def score(rows: Sequence[Floats], num_candidates: int = 3) -> SegmentScores:
    """What a decoder step says about the hypotheses of a segment with these logits."""
    logits = np.stack(rows)
    normalisers = np.log(np.exp(logits.astype(np.float64)).sum(axis=1)).astype(np.float32)
    places = range(len(rows))
    best = rank(logits, places, num_candidates)
    return StepScores(logits, normalisers, logits.argmax(axis=1), best).of(places)


def run(
    search: Search, model: Model, beam_size: int, num_candidates: int = 3
) -> tuple[Hypothesis, ...]:
    """Drive a search as the engine does."""
    histories: list[list[int]] = [[] for _ in range(search.num_rows)]
    for _ in range(MAX_TOKENS + 1):
        choice = search.advance(score([model(history) for history in histories], num_candidates))
        if choice is None:
            return search.hypotheses()
        assert 1 <= len(choice.parents) == len(choice.token_ids) <= beam_size
        histories = [
            [*histories[parent], token_id]
            for parent, token_id in zip(choice.parents, choice.token_ids, strict=True)
        ]
    raise AssertionError("the search goes on after the limit")


def beam(model: Model, beam_size: int, **options: Any) -> tuple[Hypothesis, ...]:
    wanted = {"beam_size": beam_size, "max_target_tokens": MAX_TOKENS, **options}
    return run(BeamSearch(DecodingOptions(**wanted), EOS_ID), model, beam_size)


def everything(
    model: Model, length_penalty: float, formula: str = "plain"
) -> list[tuple[float, tuple[int, ...]]]:
    """Score every sequence that ends or is cut, best first."""
    found = []
    for length in range(1, MAX_TOKENS + 1):
        for tokens in itertools.product(range(VOCAB_SIZE), repeat=length):
            if EOS_ID in tokens[:-1] or (tokens[-1] != EOS_ID and length < MAX_TOKENS):
                continue
            total = 0.0
            for place, token_id in enumerate(tokens):
                total += score([model(tokens[:place])]).log_prob(0, token_id)
            base = length if formula == "plain" else 5 / 6 + length / 6
            found.append((total / base**length_penalty, tokens))
    return sorted(found, reverse=True)


def from_table(table: dict[tuple[int, ...], Sequence[float]]) -> Model:
    """Probabilities by the tokens so far."""
    return lambda history: np.log(np.array(table[tuple(history)], dtype=np.float32))
