"""What a job may ask for."""

from typing import Any

import pytest

from service.engine.options import DecodingOptions, Sampling


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size is 0; the limit is 1 to inf"),
        ({"num_hypotheses": 0}, "num_hypotheses is 0; the limit is 1 to 1"),
        ({"beam_size": 2, "num_hypotheses": 3}, "num_hypotheses is 3; the limit is 1 to 2"),
        ({"max_target_tokens": 0}, "max_target_tokens is 0; the limit is 1 to inf"),
        (
            {"max_target_tokens": 5, "min_target_tokens": 6},
            "min_target_tokens is 6; the limit is 0 to 5",
        ),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; the limit is 5e-324 to inf"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty is nan"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is -1; the limit is 0 to inf"),
        (
            {"max_target_tokens": 2, "target_prefix": (5, 6)},
            "length of target_prefix is 2; the limit is 0 to 1",
        ),
        (
            {"sampling": Sampling(seed=1), "return_alternatives": True},
            "alternatives are gone on from greedily, not by sampling",
        ),
        ({"suppressed_sequences": ((5,), ())}, "a suppressed sequence has no tokens"),
    ],
)
def test_an_option_outside_its_range_is_refused_with_its_value(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DecodingOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1; the limit is 0 to 18446744073709551615"),
        ({"seed": 2**64}, "seed is 18446744073709551616; the limit is 0 to"),
        ({"temperature": 0.0}, "temperature is 0.0; the limit is 5e-324 to inf"),
        ({"top_k": -1}, "top_k is -1; the limit is 0 to inf"),
        ({"top_p": 0.0}, "top_p is 0.0; the limit is 5e-324 to 1.0"),
        ({"top_p": 1.5}, "top_p is 1.5; the limit is 5e-324 to 1.0"),
    ],
)
def test_sampling_outside_its_range_is_refused_with_its_value(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**{"seed": 1, **options})
