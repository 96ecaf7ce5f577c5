"""The rules against their definitions, spelled out token by token."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.options import DecodingOptions
from service.engine.rules import Rules, completing, repeating

EOS_ID = 0
VOCAB_SIZE = 6
TOLERANCE = 1e-5  # logits are float32

Logits = Sequence[float]

histories = st.lists(st.integers(1, VOCAB_SIZE - 1), max_size=8)
all_logits = st.lists(st.floats(-9, 9, width=32), min_size=VOCAB_SIZE, max_size=VOCAB_SIZE)
tokens = st.integers(0, VOCAB_SIZE - 1)
all_options = st.fixed_dictionaries(
    {
        "min_target_tokens": st.integers(0, 6),
        "repetition_penalty": st.sampled_from([0.5, 1.0, 1.2, 3.0]),
        "no_repeat_ngram_size": st.integers(0, 4),
        "suppressed_sequences": st.lists(
            st.lists(tokens, min_size=1, max_size=3).map(tuple), max_size=3
        ).map(tuple),
        "silent_ids": st.sets(st.integers(1, VOCAB_SIZE - 1)).map(tuple),
    }
)


def apply(logits: Logits, history: Sequence[int], **options: Any) -> list[float]:
    rules = Rules(DecodingOptions(**options), EOS_ID)
    changed = np.array(logits, dtype=np.float32)
    normaliser = rules.apply(changed, math.log(math.fsum(map(math.exp, logits))), history)
    return [float(logit) - normaliser for logit in changed]


def by_definition(logits: Logits, history: list[int], options: dict[str, Any]) -> list[float]:
    """Ask every rule about every token."""
    penalty = options["repetition_penalty"]
    raised = [
        logit if token not in history else logit / penalty if logit > 0 else logit * penalty
        for token, logit in enumerate(logits)
    ]
    normaliser = math.log(math.fsum(map(math.exp, raised)))
    log_probs = [logit - normaliser for logit in raised]
    allowed = [token for token in range(VOCAB_SIZE) if is_allowed(token, history, options)]
    return [
        log_prob if token in (allowed or [EOS_ID]) else -math.inf
        for token, log_prob in enumerate(log_probs)
    ]


def is_allowed(token: int, history: list[int], options: dict[str, Any]) -> bool:
    if token in options["silent_ids"]:
        return False
    if token == EOS_ID and len(history) < options["min_target_tokens"]:
        return False
    text, size = [*history, token], options["no_repeat_ngram_size"]
    ngrams = [tuple(text[start : start + size]) for start in range(len(text) - size + 1)]
    if size and ngrams and ngrams[-1] in ngrams[:-1]:
        return False
    return not any(text[-len(one) :] == list(one) for one in options["suppressed_sequences"])


@given(all_logits, histories, all_options)
def test_together_they_do_what_each_says(
    logits: list[float], history: list[int], options: dict[str, Any]
) -> None:
    found = apply(logits, history, **options)

    assert found == pytest.approx(by_definition(logits, history, options), abs=TOLERANCE)


@given(all_logits, histories)
def test_without_rules_the_model_s_log_probabilities_stay(
    logits: list[float], history: list[int]
) -> None:
    normaliser = math.log(math.fsum(map(math.exp, logits)))

    assert apply(logits, history) == [logit - normaliser for logit in logits]


@pytest.mark.parametrize("best", range(VOCAB_SIZE))
def test_the_model_s_choice_is_left_where_no_rule_can_change_it(best: int) -> None:
    assert Rules(DecodingOptions(), EOS_ID).leave(best)
    assert Rules(DecodingOptions(silent_ids=(1, 2)), EOS_ID).leave(best) == (best not in (1, 2))
    for rule in (
        {"min_target_tokens": 1},
        {"repetition_penalty": 1.1},
        {"no_repeat_ngram_size": 3},
        {"suppressed_sequences": ((4,),)},
    ):
        assert not Rules(DecodingOptions(**rule), EOS_ID).leave(best)


@pytest.mark.parametrize(
    ("history", "size", "banned"),
    [
        ([4, 5, 4], 2, {5}),
        ([4, 5, 4, 2, 4], 2, {5, 2}),
        ([4, 5, 4], 3, set()),
        ([4, 5, 1, 4, 5], 3, {1}),
        ([4, 4], 1, {4}),
        ([4, 4], 2, {4}),
        ([], 1, set()),
    ],
)
def test_an_ngram_would_come_twice(history: list[int], size: int, banned: set[int]) -> None:
    assert repeating(history, size) == banned


@pytest.mark.parametrize(
    ("history", "banned"), [([], {7}), ([1], {7}), ([5], {7, 6}), ([4, 5], {7, 6, 9})]
)
def test_a_sequence_is_suppressed_at_its_last_token(history: list[int], banned: set[int]) -> None:
    assert completing(history, [(7,), (5, 6), (4, 5, 9)]) == banned


def test_a_repetition_penalty_makes_likely_and_unlikely_tokens_less_likely() -> None:
    logits = [0.0, 2.0, -2.0, 2.0, -2.0, 0.0]

    plain = apply(logits, [1, 2])
    found = apply(logits, [1, 2], repetition_penalty=2.0)

    assert found[1] - found[3] == pytest.approx(1.0 - 2.0)
    assert found[2] - found[4] == pytest.approx(-4.0 - -2.0)
    assert found[1] < plain[1] and found[2] < plain[2] and found[3] > plain[3]
    assert math.fsum(map(math.exp, found)) == pytest.approx(1.0)
