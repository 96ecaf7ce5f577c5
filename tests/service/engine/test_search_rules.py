"""Searches under rules: the best of what is allowed, from a prefix on."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions
from service.engine.search import BeamSearch, SeparateSearch, start_search
from tests.service.engine.toy_search import (
    ALL,
    EOS_ID,
    MAX_TOKENS,
    TOLERANCE,
    VOCAB_SIZE,
    everything,
    from_table,
    make_model,
    run,
)

Tokens = tuple[int, ...]
RULES: list[dict[str, Any]] = [
    {"min_target_tokens": 2},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"suppressed_sequences": ((1,), (2, 3), (3, 2, 2))},
    {"silent_ids": (2,)},
    {"target_prefix": (3, 1)},
    {"target_prefix": (3, 3), "no_repeat_ngram_size": 1, "suppressed_sequences": ((3, 3),)},
    {"target_prefix": (2,), "silent_ids": (1,), "min_target_tokens": 3},
]


def search(seed: int, beam_size: int, **options: Any) -> tuple[Hypothesis, ...]:
    wanted = DecodingOptions(
        beam_size=beam_size,
        max_target_tokens=MAX_TOKENS,
        **{"num_hypotheses": beam_size, **options},
    )
    return run(start_search(wanted, EOS_ID), make_model(seed), beam_size)


def chosen(hypothesis: Hypothesis) -> Tokens:
    return (*hypothesis.token_ids, *([EOS_ID] if hypothesis.finish_reason == "stop" else []))


def is_allowed(tokens: Tokens, rules: dict[str, Any]) -> bool:
    prefix = rules.get("target_prefix", ())
    size = rules.get("no_repeat_ngram_size", 0)
    least = rules.get("min_target_tokens", 0)
    lengths = range(len(prefix) + 1, len(tokens) + 1)  # the prefix itself is above the rules
    return (
        tokens[: len(prefix)] == prefix
        and len(tokens) > len(prefix)
        and not (tokens[-1] == EOS_ID and len(tokens) <= least)
        and not set(tokens[len(prefix) :]) & set(rules.get("silent_ids", ()))
        and not any(size and repeats(tokens[:length], size) for length in lengths)
        and not any(
            tokens[:length][-len(banned) :] == banned
            for length in lengths
            for banned in rules.get("suppressed_sequences", ())
        )
    )


def repeats(tokens: Tokens, size: int) -> bool:
    ngrams = list(windows(tokens, size))
    return bool(ngrams) and ngrams[-1] in ngrams[:-1]


def windows(tokens: Tokens, size: int) -> Iterator[Tokens]:
    return (tokens[start : start + size] for start in range(len(tokens) - size + 1))


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_beam_wide_enough_finds_the_best_of_all_that_is_allowed(
    seed: int, rules: dict[str, Any]
) -> None:
    allowed = [one for one in everything(make_model(seed), 1.0) if is_allowed(one[1], rules)]

    found = search(seed, ALL, **rules)

    assert [chosen(one) for one in found] == [tokens for _, tokens in allowed]
    assert [one.score for one in found] == pytest.approx(
        [total for total, _ in allowed], abs=TOLERANCE
    )


@pytest.mark.parametrize("rules", [*RULES, {"repetition_penalty": 3.0}], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_a_beam_of_one_without_length_penalty_is_greedy_under_rules_too(
    seed: int, rules: dict[str, Any]
) -> None:
    options = DecodingOptions(length_penalty=0.0, max_target_tokens=MAX_TOKENS, **rules)

    [greedy] = run(SeparateSearch(options, EOS_ID), make_model(seed), 1)
    [found] = run(BeamSearch(options, EOS_ID), make_model(seed), 1)

    assert found == greedy
    assert is_allowed(chosen(greedy), rules)


def test_a_repetition_penalty_ends_a_loop() -> None:
    again: Sequence[float] = (0.2, 0.5, 0.2, 0.1)
    model = from_table({(): again, (1,): again, (1, 1): again, (1, 1, 1): again})
    looping = DecodingOptions(max_target_tokens=4)
    penalised = DecodingOptions(max_target_tokens=4, repetition_penalty=4.0)

    assert run(start_search(looping, EOS_ID), model, 1)[0].token_ids == (1, 1, 1, 1)
    assert run(start_search(penalised, EOS_ID), model, 1)[0].token_ids == (1,)


def test_a_control_token_is_not_chosen_even_if_it_is_the_best() -> None:
    model = from_table({(): (0.1, 0.1, 0.5, 0.3), (3,): (0.97, 0.01, 0.01, 0.01)})
    options = DecodingOptions(silent_ids=(1, 2), length_penalty=0.0)

    [found] = run(start_search(options, EOS_ID), model, 1)

    assert found.token_ids == (3,)
    assert found.score == pytest.approx(np.log(0.3 * 0.97), abs=TOLERANCE)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_where_the_rules_leave_nothing_a_hypothesis_ends(beam_size: int) -> None:
    rules = {"silent_ids": (2, 3), "no_repeat_ngram_size": 1, "min_target_tokens": MAX_TOKENS}

    found = search(1, beam_size, **rules)

    assert [chosen(one) for one in found] == [(1, EOS_ID)]  # once 1 was said, nothing is left


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_the_log_probabilities_of_a_prefix_are_the_model_s(beam_size: int) -> None:
    model, prefix = make_model(4), (3, 3, 2)
    rules = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1}

    for found in search(4, beam_size, target_prefix=prefix, **rules):
        for place, token_id in enumerate(prefix):
            logits = model(prefix[:place]).astype(float)
            wanted = logits[token_id] - np.log(np.exp(logits).sum())
            assert found.token_ids[place] == token_id
            assert found.token_log_probs[place] == pytest.approx(wanted, abs=TOLERANCE)


def test_a_prefix_that_fills_all_but_one_token_is_kept() -> None:
    prefix = (1, 2, 3)

    found = search(2, VOCAB_SIZE, target_prefix=prefix)

    assert len(found) == VOCAB_SIZE
    assert all(one.token_ids[: len(prefix)] == prefix for one in found)
