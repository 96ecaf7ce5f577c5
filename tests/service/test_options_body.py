"""The decoding options of the native API, from the body of a request to the engine."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.engine.options import DecodingOptions, Sampling
from tests.service.stub_engine import SILENT_IDS, StubEngine, StubTokenizer
from tests.service.test_routes import REQUEST, detail


def test_options_reach_the_engine_and_the_rest_is_default(
    client: TestClient, engine: StubEngine
) -> None:
    options = {"beam_size": 2, "max_target_tokens": 7}
    client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"], "options": options})
    client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"]})

    wished, default = (job.options for job in engine.jobs)
    assert (wished.beam_size, wished.max_target_tokens, wished.length_penalty) == (2, 7, 0.6)
    assert (default.beam_size, default.max_target_tokens) == (4, 26)  # 16 + 2 * 5 tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 9}, "beam_size is 9; the limit is 1 to 8"),
        ({"beam_size": 0}, "beam_size is 0; the limit is 1 to 8"),
        ({"beam_size": 1, "num_hypotheses": 2}, "beam_size is 1; the limit is 2 to 8"),
        ({"num_hypotheses": 5}, "num_hypotheses is 5; the limit is 1 to 4"),
        ({"length_penalty": 11.0}, "length_penalty is 11.0; the limit is 0.0 to 10.0"),
        ({"max_target_tokens": 101}, "max_target_tokens is 101; the limit is 1 to 100"),
        ({"beam_size": "4"}, "options.beam_size: Input should be a valid integer"),
        ({"temprature": 1}, "options.temprature: Extra inputs are not permitted"),
        (
            {"length_penalty_formula": "cubic"},
            "options.length_penalty_formula: Input should be 'plain' or 'gnmt'",
        ),
        ({"temperature": 0.0}, "temperature is 0.0; the limit is 0.01 to 10.0"),
    ],
)
def test_an_option_outside_its_range_is_refused(
    client: TestClient, options: dict[str, Any], message: str
) -> None:
    assert detail(client, options=options) == message


def test_every_option_reaches_the_engine(client: TestClient, engine: StubEngine) -> None:
    options = {
        "num_hypotheses": 2,
        "length_penalty_formula": "gnmt",
        "max_target_ratio": 1.0,
        "min_target_tokens": 3,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3,
        "suppressed_texts": ["ab", "c"],
        "target_prefix": "HA",
        "temperature": 0.7,
        "top_k": 5,
        "top_p": 0.9,
        "seed": 11,
    }

    reply = client.post("/v1/translate", json={**REQUEST, "texts": ["Hallo"], "options": options})

    assert reply.json()["seed"] == 11
    encode = StubTokenizer().encode
    assert engine.jobs[0].options == DecodingOptions(
        beam_size=2,
        num_hypotheses=2,
        length_penalty=0.6,
        length_penalty_formula="gnmt",
        max_target_tokens=16 + 5 + 2,
        min_target_tokens=3,
        repetition_penalty=1.2,
        no_repeat_ngram_size=3,
        suppressed_sequences=(tuple(encode("ab")), tuple(encode("c"))),
        silent_ids=SILENT_IDS,
        target_prefix=tuple(encode("HA")),
        sampling=Sampling(seed=11, temperature=0.7, top_k=5, top_p=0.9),
    )


def test_a_seed_that_is_left_out_is_drawn_and_told(client: TestClient, engine: StubEngine) -> None:
    request = {**REQUEST, "options": {"temperature": 1.0}}

    seeds = [client.post("/v1/translate", json=request).json()["seed"] for _ in range(2)]

    drawn = [job.options.sampling.seed for job in engine.jobs if job.options.sampling]
    assert drawn == [seeds[0]] * 2 + [seeds[1]] * 2  # two sentences each
    assert seeds[0] != seeds[1]


def test_without_sampling_there_is_no_seed(client: TestClient) -> None:
    assert "seed" not in client.post("/v1/translate", json=REQUEST).json()


def test_options_that_do_not_go_together_are_a_problem_of_their_own(client: TestClient) -> None:
    options = {"beam_size": 4, "top_k": 5}

    problem = client.post("/v1/translate", json={**REQUEST, "options": options}).json()

    assert problem["type"] == "/docs#incompatible-options"
    assert (problem["value"], problem["limit"]) == (4, 1)
