"""Samples and alternatives: hypotheses that do not compete."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions, Sampling
from service.engine.sampling import draw
from service.engine.search import BeamSearch, SeparateSearch, start_search
from tests.service.engine.toy_search import (
    EOS_ID,
    MAX_TOKENS,
    TOLERANCE,
    VOCAB_SIZE,
    from_table,
    make_model,
    run,
    score,
)

Tokens = tuple[int, ...]


def search(seed: int, beam_size: int, **options: Any) -> tuple[Hypothesis, ...]:
    wanted = {"num_hypotheses": beam_size, "max_target_tokens": MAX_TOKENS, **options}
    chosen = DecodingOptions(beam_size=beam_size, **wanted)
    return run(start_search(chosen, EOS_ID), make_model(seed), beam_size)


def chosen(hypothesis: Hypothesis) -> Tokens:
    return (*hypothesis.token_ids, *([EOS_ID] if hypothesis.finish_reason == "stop" else []))


def log_prob(seed: int, tokens: Sequence[int]) -> float:
    steps = [score([make_model(seed)(tokens[:place])]) for place in range(len(tokens))]
    return math.fsum(step.log_prob(0, token) for step, token in zip(steps, tokens, strict=True))


def plain_sample(seed: int, sampling: Sampling, sample: int) -> Tokens:
    """One sample, drawn without any search around it."""
    tokens: list[int] = []
    while len(tokens) < MAX_TOKENS and tokens[-1:] != [EOS_ID]:
        tokens.append(draw(make_model(seed)(tokens), sampling, sample, len(tokens)))
    return tuple(tokens)


@pytest.mark.parametrize("num_samples", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_samples_are_drawn_independently_and_ranked_by_the_model(
    seed: int, num_samples: int
) -> None:
    sampling = Sampling(seed=seed, temperature=1.5, top_k=3)

    found = search(seed, num_samples, sampling=sampling)

    wanted = [plain_sample(seed, sampling, sample) for sample in range(num_samples)]
    wanted.sort(key=lambda tokens: -log_prob(seed, tokens) / len(tokens))
    assert [chosen(one) for one in found] == wanted
    for one, tokens in zip(found, wanted, strict=True):
        assert one.score == pytest.approx(log_prob(seed, tokens) / len(tokens), abs=TOLERANCE)


def test_more_samples_keep_those_that_there_were() -> None:
    few, many = (search(1, count, sampling=Sampling(seed=3)) for count in (2, 6))

    assert set(map(chosen, few)) <= set(map(chosen, many))


def test_the_best_of_several_samples_can_be_asked_for() -> None:
    sampling = Sampling(seed=3)

    assert search(1, 6, sampling=sampling, num_hypotheses=1) == search(1, 6, sampling=sampling)[:1]


def test_another_seed_gives_other_samples() -> None:
    found = {chosen(search(1, 1, sampling=Sampling(seed=seed))[0]) for seed in range(30)}

    assert len(found) > 5


@pytest.mark.parametrize("only_one", [{"top_k": 1}, {"top_p": 0.01}, {"temperature": 0.001}])
def test_where_one_token_is_left_to_draw_it_is_greedy(only_one: dict[str, Any]) -> None:
    for seed in range(10):
        assert search(seed, 1, sampling=Sampling(seed=9, **only_one)) == search(seed, 1)


def test_samples_keep_to_the_rules() -> None:
    rules = {"silent_ids": (1,), "no_repeat_ngram_size": 1, "target_prefix": (1,)}

    for seed in range(20):
        for one in search(seed, 3, sampling=Sampling(seed=seed, temperature=9.0), **rules):
            assert one.token_ids[0] == 1
            assert len(set(one.token_ids)) == len(one.token_ids)


@pytest.mark.parametrize("prefix", [(), (2,), (3, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_alternatives_are_the_best_next_tokens_each_gone_on_from_greedily(
    seed: int, prefix: Tokens
) -> None:
    model = make_model(seed)
    next_tokens = (-model(prefix)).argsort()[:3].tolist()

    found = search(seed, 3, target_prefix=prefix, return_alternatives=True)

    assert {chosen(one)[len(prefix)] for one in found} == set(next_tokens)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        start = (*prefix, chosen(one)[len(prefix)])
        if start[-1] == EOS_ID:
            assert chosen(one) == start
        else:
            [greedy] = search(seed, 1, target_prefix=start) if len(start) < MAX_TOKENS else [one]
            assert one == greedy


def test_the_best_alternative_by_its_token_is_the_greedy_translation() -> None:
    for seed in range(10):
        [greedy] = search(seed, 1, target_prefix=(2,))
        assert greedy in search(seed, 3, target_prefix=(2,), return_alternatives=True)


def test_there_are_no_more_alternatives_than_tokens_that_may_be_chosen() -> None:
    found = search(1, VOCAB_SIZE, return_alternatives=True, silent_ids=(1, 3))

    assert {chosen(one)[0] for one in found} == {EOS_ID, 2}


def test_a_hypothesis_that_has_ended_waits_for_the_others() -> None:
    fed_on: Sequence[float] = (0.01, 0.97, 0.01, 0.01)
    model = from_table(
        {
            (): (0.39, 0.59, 0.01, 0.01),
            (1,): fed_on,
            (1, 1): (0.79, 0.19, 0.01, 0.01),
            (0,): fed_on,
            (0, 0): fed_on,
        }
    )
    options = DecodingOptions(beam_size=2, num_hypotheses=2, return_alternatives=True)

    found = run(start_search(options, EOS_ID), model, 2)

    assert {one.token_ids for one in found} == {(), (1, 1)}
    assert {len(one.token_log_probs) for one in found} == {1, 3}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"beam_size": 1}, SeparateSearch),
        ({"beam_size": 2}, BeamSearch),
        ({"beam_size": 2, "sampling": Sampling(seed=1)}, SeparateSearch),
        ({"beam_size": 2, "return_alternatives": True}, SeparateSearch),
    ],
)
def test_only_a_beam_makes_hypotheses_compete(options: dict[str, Any], kind: type) -> None:
    assert type(start_search(DecodingOptions(**options), EOS_ID)) is kind
