"""What is drawn: only what may be, as often as it should be, and the same each time."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.options import Sampling
from service.engine.sampling import candidates, draw, uniform

NUM_DRAWS = 4_000
ROUNDING = 1e-9  # of sums of float64
TOLERANCE = 4 * math.sqrt(0.25 / NUM_DRAWS)  # four standard deviations of a share

few_logits = st.lists(
    st.floats(-9, 9, width=32) | st.just(-math.inf), min_size=1, max_size=12
).filter(lambda logits: max(logits) > -math.inf)
many_logits = st.builds(
    lambda seed, scale: (scale * np.random.default_rng(seed).normal(size=300)).tolist(),
    st.integers(0, 2**32),
    st.sampled_from([0.01, 1.0, 5.0]),
)
all_logits = few_logits | many_logits
samplings = st.builds(
    Sampling,
    seed=st.integers(0, 2**64 - 1),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 2.0]),
    top_k=st.integers(0, 15),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 0.999, 1.0]),
)


def array(logits: list[float]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(logits, dtype=np.float32)


@given(all_logits, samplings)
def test_candidates_are_the_likeliest_that_the_definitions_leave(
    logits: list[float], sampling: Sampling
) -> None:
    found = candidates(array(logits), sampling)

    exact, best = array(logits).tolist(), max(array(logits).tolist())
    weights = [math.exp((logit - best) / sampling.temperature) for logit in exact]
    ranked = sorted(range(len(weights)), key=lambda token: -weights[token])
    ranked = ranked[: sampling.top_k or None]
    nucleus = ranked[: len(found.token_ids)]
    assert sorted(found.token_ids.tolist()) == sorted(nucleus)
    assert found.weights.tolist() == pytest.approx([weights[n] for n in found.token_ids.tolist()])
    wanted = sampling.top_p * math.fsum(weights[token] for token in ranked)
    assert math.fsum(weights[token] for token in nucleus) >= wanted * (1 - ROUNDING)
    if sampling.top_p < 1.0:
        assert math.fsum(weights[token] for token in nucleus[:-1]) <= wanted * (1 + ROUNDING)
    else:
        assert len(nucleus) == len(ranked)


@given(all_logits, samplings, st.integers(0, 9), st.integers(0, 500))
def test_a_draw_is_a_candidate_and_the_same_each_time(
    logits: list[float], sampling: Sampling, sample: int, position: int
) -> None:
    drawn = draw(array(logits), sampling, sample, position)

    token_ids, weights = candidates(array(logits), sampling)
    assert drawn in token_ids[weights > 0.0]
    assert draw(array(logits), sampling, sample, position) == drawn


@pytest.mark.parametrize("vary", ["seed", "sample", "position"])
def test_tokens_are_drawn_as_often_as_they_are_likely(vary: str) -> None:
    shares = [0.5, 0.25, 0.125, 0.125]
    logits = array([math.log(share) for share in shares])

    drawn = Counter(
        draw(
            logits,
            Sampling(seed=number if vary == "seed" else 7),
            number if vary == "sample" else 0,
            number if vary == "position" else 0,
        )
        for number in range(NUM_DRAWS)
    )

    for token, share in enumerate(shares):
        assert drawn[token] / NUM_DRAWS == pytest.approx(share, abs=TOLERANCE)


@pytest.mark.parametrize(("temperature", "share"), [(0.5, 0.8), (1.0, 2 / 3), (2.0, 0.586)])
def test_a_low_temperature_favours_the_likely(temperature: float, share: float) -> None:
    logits = array([math.log(2), 0.0])

    _, weights = candidates(logits, Sampling(seed=1, temperature=temperature))

    assert weights[0] / weights.sum() == pytest.approx(share, abs=0.001)


def test_numbers_fill_the_unit_interval_evenly_and_never_reach_its_end() -> None:
    numbers = [
        uniform(seed, sample, position)
        for seed in (0, 1, 2**64 - 1)
        for sample in range(10)
        for position in range(100)
    ]

    assert all(0.0 <= number < 1.0 for number in numbers)
    assert len(set(numbers)) == len(numbers)
    counts = Counter(int(10 * number) for number in numbers)
    assert all(240 < counts[tenth] < 360 for tenth in range(10))


def test_the_numbers_are_those_of_every_release() -> None:
    """A seed that somebody noted down is worth nothing after a change of this."""
    numbers = [uniform(42, 0, position) for position in range(2)]

    assert numbers == [0.12780078877626289, 0.24809087288675458]
