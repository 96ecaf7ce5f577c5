"""Greedy and beam search against searching everything."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions, Sampling
from service.engine.scores import Floats
from service.engine.search import (
    BeamSearch,
    Choice,
    SeparateSearch,
    start_search,
)
from tests.service.engine.toy_search import (
    ALL,
    EOS_ID,
    MAX_TOKENS,
    TOLERANCE,
    beam,
    everything,
    from_table,
    make_model,
    run,
    score,
)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 1.5])
@pytest.mark.parametrize("formula", ["plain", "gnmt"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_beam_wide_enough_finds_the_best_of_all(
    seed: int, formula: str, length_penalty: float
) -> None:
    model = make_model(seed)
    wanted = everything(model, length_penalty, formula)[:5]

    found = beam(
        model,
        ALL,
        num_hypotheses=5,
        length_penalty=length_penalty,
        length_penalty_formula=formula,
    )

    tokens = [tuple(token_id for token_id in one if token_id != EOS_ID) for _, one in wanted]
    assert [hypothesis.token_ids for hypothesis in found] == tokens
    for hypothesis, (best, chosen) in zip(found, wanted, strict=True):
        assert hypothesis.score == pytest.approx(best, abs=TOLERANCE)
        assert hypothesis.finish_reason == ("stop" if chosen[-1] == EOS_ID else "length")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_what_a_narrow_beam_returns_is_scored_right_and_ranked(
    seed: int, length_penalty: float
) -> None:
    model = make_model(seed)
    scores = {
        (tuple(t for t in tokens if t != EOS_ID), tokens[-1] == EOS_ID): total
        for total, tokens in everything(model, length_penalty)
    }

    found = beam(model, 2, num_hypotheses=2, length_penalty=length_penalty)

    assert len({hypothesis.token_ids for hypothesis in found}) == 2
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        wanted = scores[one.token_ids, one.finish_reason == "stop"]
        assert one.score == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_without_length_penalty_is_greedy(seed: int) -> None:
    model = make_model(seed)
    options = DecodingOptions(length_penalty=0.0, max_target_tokens=MAX_TOKENS)

    [wanted] = run(SeparateSearch(options, EOS_ID), model, 1)
    [found] = beam(model, 1, length_penalty=0.0)

    assert found.token_ids == wanted.token_ids
    assert found.score == pytest.approx(wanted.score, abs=TOLERANCE)


def test_greedy_takes_the_best_token_each_time_and_misses_the_best_sentence() -> None:
    model = from_table(
        {
            (): (0.01, 0.5, 0.48, 0.01),
            (1,): (0.3, 0.24, 0.23, 0.23),
            (2,): (0.97, 0.01, 0.01, 0.01),
        }
    )
    options = DecodingOptions(length_penalty=0.0, max_target_tokens=2)

    [greedy] = run(SeparateSearch(options, EOS_ID), model, 1)
    [best] = beam(model, 2, length_penalty=0.0, max_target_tokens=2)

    assert (greedy.token_ids, best.token_ids) == ((1,), (2,))
    assert greedy.score == pytest.approx(np.log(0.5 * 0.3), abs=TOLERANCE)
    assert best.score == pytest.approx(np.log(0.48 * 0.97), abs=TOLERANCE)


def test_a_length_penalty_divides_by_the_length_with_eos() -> None:
    model = from_table({(): (0.01, 0.97, 0.01, 0.01), (1,): (0.97, 0.01, 0.01, 0.01)})
    options = DecodingOptions(length_penalty=1.5, max_target_tokens=MAX_TOKENS)

    [found] = run(SeparateSearch(options, EOS_ID), model, 1)

    assert found.score == pytest.approx(2 * np.log(0.97) / 2**1.5, abs=TOLERANCE)


def test_a_limit_of_one_token_is_kept() -> None:
    model = from_table({(): (0.2, 0.5, 0.29, 0.01)})

    found = beam(model, 2, num_hypotheses=2, max_target_tokens=1)

    assert [(one.token_ids, one.finish_reason) for one in found] == [
        ((1,), "length"),
        ((2,), "length"),
    ]


def test_an_end_that_is_not_among_the_best_ends_nothing() -> None:
    model = from_table(
        {
            (): (0.01, 0.5, 0.45, 0.04),
            (1,): (0.6, 0.38, 0.01, 0.01),
            (2,): (0.4, 0.35, 0.2, 0.05),  # to end here is third, behind (1, eos) and (1, 1)
            (1, 1): (0.9, 0.05, 0.03, 0.02),
            (2, 1): (0.3, 0.3, 0.2, 0.2),
        }
    )

    found = beam(model, 2, num_hypotheses=2, length_penalty=0.0, max_target_tokens=3)

    assert [one.token_ids for one in found] == [(1,), (1, 1)]


def test_the_search_goes_on_while_a_long_hypothesis_could_win_by_its_length() -> None:
    sure = (0.01, 0.97, 0.01, 0.01)
    model = from_table({(): (0.5, 0.2, 0.15, 0.15), (1,): sure, (1, 1): sure, (1, 1, 1): sure})

    [found] = beam(model, 1, length_penalty=1.0)

    assert found.token_ids == (1, 1, 1, 1)


@pytest.mark.parametrize("formula", ["plain", "gnmt"])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.6, 2.0])
def test_stopping_early_finds_what_going_on_finds(
    length_penalty: float, formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"length_penalty": length_penalty, "length_penalty_formula": formula}
    asked = [(seed, beam_size) for seed in range(20) for beam_size in (1, 2, 3)]

    def search_all() -> list[tuple[Hypothesis, ...]]:
        return [
            beam(make_model(seed), size, num_hypotheses=size, **options) for seed, size in asked
        ]

    early = search_all()
    monkeypatch.setattr(BeamSearch, "_able_to_win", lambda search, grown: grown)

    assert early == search_all()


def test_the_search_ends_when_no_live_hypothesis_can_win_any_more() -> None:
    model = from_table({(): (0.9, 0.08, 0.01, 0.01), (1,): (0.97, 0.01, 0.01, 0.01)})
    search = BeamSearch(DecodingOptions(beam_size=1, length_penalty=0.0), EOS_ID)

    assert search.advance(score([model([])])) is None  # at the first step, of 256 allowed


def test_a_hypothesis_that_cannot_win_any_more_is_not_gone_on_from() -> None:
    model = from_table(
        {
            (): (0.01, 0.6, 0.38, 0.01),
            (1,): (0.5, 0.48, 0.01, 0.01),  # ends with 0.3; (1, 1) has 0.288, (2, 1) 0.35
            (2,): (0.01, 0.93, 0.05, 0.01),
        }
    )
    search = BeamSearch(DecodingOptions(beam_size=2, length_penalty=0.0), EOS_ID)

    assert search.advance(score([model([])])) == Choice([0, 0], [1, 2])
    assert search.advance(score([model([1]), model([2])])) == Choice([1], [1])


def test_the_search_ends_as_soon_as_those_that_are_asked_for_are_final() -> None:
    """The second and third best take longer to find, and nobody wants them."""

    def count_steps(num_hypotheses: int, seed: int) -> tuple[int, Hypothesis]:
        search, calls = make_model(seed), itertools.count()

        def model(history: Sequence[int]) -> Floats:
            next(calls)
            return search(history)

        best, *_ = beam(model, 3, num_hypotheses=num_hypotheses, length_penalty=0.0)
        return next(calls), best

    pairs = [(count_steps(1, seed), count_steps(3, seed)) for seed in range(20)]

    assert all(one.token_ids == three.token_ids for (_, one), (_, three) in pairs)
    assert all(few <= many for (few, _), (many, _) in pairs)
    assert sum(few < many for (few, _), (many, _) in pairs) > 5


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("seed", range(10))
def test_the_score_is_explained_by_the_log_probability_of_each_token(
    seed: int, beam_size: int
) -> None:
    model = make_model(seed)
    options = DecodingOptions(
        beam_size=beam_size, num_hypotheses=beam_size, max_target_tokens=MAX_TOKENS
    )

    for found in run(start_search(options, EOS_ID), model, beam_size):
        tokens = [*found.token_ids, *([EOS_ID] if found.finish_reason == "stop" else [])]
        steps = [score([model(tokens[:place])]) for place in range(len(tokens))]
        wanted = [step.log_prob(0, token) for step, token in zip(steps, tokens, strict=True)]
        assert list(found.token_log_probs) == wanted
        assert found.score == sum(wanted) / len(tokens)


@given(
    st.integers(2, 4),
    st.integers(0, 2**32 - 1),
    st.sampled_from([{}, {"silent_ids": (5, 7)}, {"min_target_tokens": 2}]),
)
def test_candidates_change_nothing_however_many_there_are(
    beam_size: int, seed: int, rules: dict[str, Any]
) -> None:
    def model(history: Sequence[int]) -> Floats:
        generator = np.random.default_rng([seed, *history])
        return generator.integers(-2, 3, size=12).astype(np.float32)  # so that many are equal

    options = DecodingOptions(
        beam_size=beam_size, num_hypotheses=beam_size, max_target_tokens=MAX_TOKENS, **rules
    )
    without, *others = (
        run(BeamSearch(options, EOS_ID), model, beam_size, count) for count in (0, 1, 7, 8, 10, 12)
    )

    assert all(found == without for found in others)


def test_logits_are_not_looked_at_where_candidates_are_enough() -> None:
    scores = score([np.arange(12, dtype=np.float32)] * 4, num_candidates=8)
    scores.step.logits = {}  # looking would raise
    search = BeamSearch(DecodingOptions(beam_size=4), EOS_ID)

    assert search.advance(scores) == Choice([0, 0, 0, 0], [11, 10, 9, 8])


@pytest.mark.parametrize(
    ("options", "are_candidates_read", "are_logits_read"),
    [
        ({}, True, False),
        ({"silent_ids": (1, 2)}, True, False),
        ({"repetition_penalty": 1.2}, False, True),
        ({"no_repeat_ngram_size": 3}, False, True),
        ({"beam_size": 1}, False, False),
        ({"return_alternatives": True}, False, False),
        ({"sampling": Sampling(seed=1)}, False, True),
    ],
)
def test_a_search_says_what_it_reads_in_every_step(
    options: dict[str, Any], are_candidates_read: bool, are_logits_read: bool
) -> None:
    search = start_search(DecodingOptions(**{"beam_size": 4, **options}), EOS_ID)

    assert (search.reads_candidates, search.reads_logits) == (are_candidates_read, are_logits_read)
