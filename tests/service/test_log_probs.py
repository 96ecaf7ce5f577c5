"""The tokens of a translation and their log probabilities, for those who ask."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.loading import load_backend
from service.settings import Settings
from tests.bundles import write_bundle, write_sentences
from tests.service.conftest import wait_until_ready
from tests.service.stub_engine import StubEngine
from tests.service.test_event_stream import read_events

REQUEST = {"texts": ["Ja. No!"], "source": "de", "target": "en", "log_probs": True}


def token(text: str, log_prob: float = 0.0) -> dict[str, object]:
    return {"text": text, "log_prob": log_prob}


SENTENCES = [
    *(token("J", -1.0), token("A"), token("."), token("")),
    *(token("N", -1.0), token("O"), token("!"), token("")),
]


def translate(client: TestClient, **changes: Any) -> dict[str, Any]:
    reply = client.post("/v1/translate", json={**REQUEST, **changes})
    assert reply.status_code == 200, reply.text
    best: dict[str, Any] = reply.json()["translations"][0]
    return best


def test_the_tokens_of_all_sentences_come_in_order_each_with_an_end(client: TestClient) -> None:
    assert translate(client)["tokens"] == SENTENCES


def test_every_alternative_has_tokens_of_its_own(client: TestClient) -> None:
    [other] = translate(client, texts=["Ja."], options={"num_hypotheses": 2})["alternatives"]

    assert other["tokens"] == [token("J", -2.0), token("A"), token("."), token("!"), token("")]


def test_a_sentence_that_was_cut_has_no_end(client: TestClient, engine: StubEngine) -> None:
    engine.finish_reason = "length"

    assert translate(client, texts=["Ja."])["tokens"] == SENTENCES[:3]


def test_a_text_with_nothing_to_translate_has_no_tokens(client: TestClient) -> None:
    assert translate(client, texts=["42"])["tokens"] == []


@pytest.mark.parametrize("log_probs", [{}, {"log_probs": False}])
def test_tokens_are_told_only_to_those_who_ask(
    client: TestClient, log_probs: dict[str, bool]
) -> None:
    request = {key: value for key, value in REQUEST.items() if key != "log_probs"}

    reply = client.post("/v1/translate", json={**request, **log_probs}).json()

    assert "tokens" not in reply["translations"][0]


def test_a_stream_ends_with_the_tokens(client: TestClient) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "stream": True})

    kind, done = read_events(reply.text)[-1]
    assert kind == "done"
    assert done["translations"][0]["tokens"] == SENTENCES


def test_what_is_neither_true_nor_false_is_refused(client: TestClient) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "log_probs": 1})

    assert reply.status_code == 422
    assert reply.json()["detail"] == "log_probs: Input should be a valid boolean"


def test_openapi_tells_of_them(client: TestClient) -> None:
    api = client.get("/openapi.json").json()

    content = api["paths"]["/v1/translate"]["post"]["requestBody"]["content"]
    assert "log_probs" in content["application/json"]["schema"]["properties"]
    assert api["components"]["schemas"]["TokenReply"]["required"] == ["text", "log_prob"]


@pytest.fixture(scope="module")
def real_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    bundle = write_bundle(tmp_path_factory.mktemp("log_probs") / "bundle")
    with TestClient(create_app(Settings(bundle=bundle), load_backend, _must_not_fail)) as client:
        wait_until_ready(client)
        yield client


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 1},
        {"beam_size": 3, "num_hypotheses": 2},
        {"beam_size": 3, "max_target_tokens": 3},
        {"temperature": 2.0, "seed": 7, "num_hypotheses": 2},
        {"target_prefix": "The old man", "repetition_penalty": 2.0},
    ],
    ids=str,
)
def test_their_sum_makes_the_score_of_a_sentence(
    real_client: TestClient, options: dict[str, Any]
) -> None:
    by_length = {"length_penalty": 0.5, "length_penalty_formula": "plain"}
    changes = {"texts": write_sentences("de", 3), "options": {**options, **by_length}}

    reply = real_client.post("/v1/translate", json={**REQUEST, **changes}).json()

    for translation in reply["translations"]:
        for found in [translation, *translation.get("alternatives", [])]:
            log_probs = [each["log_prob"] for each in found["tokens"]]
            assert found["score"] == pytest.approx(sum(log_probs) / len(log_probs) ** 0.5)
            assert max(log_probs) < 0.0
            assert (found["tokens"][-1]["text"] == "") == (found["finish_reason"] == "stop")


def _must_not_fail(error: BaseException) -> None:
    raise AssertionError(f"the service failed: {error!r}")
