"""A translation as server-sent events, seen by a client."""

import json
from typing import Any

from fastapi.testclient import TestClient

from service.errors import EngineFailure
from tests.service.stub_engine import StubEngine
from tests.service.test_routes import REQUEST


def read_events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as (kind, data)."""
    frames = [frame.split("\n") for frame in text.split("\n\n") if frame]
    assert all(len(frame) == 2 for frame in frames)
    return [
        (kind.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for kind, data in frames
    ]


def test_a_stream_has_pieces_and_sentences_and_ends_with_the_usual_reply(
    client: TestClient,
) -> None:
    usual = client.post("/v1/translate", json=REQUEST).json()

    reply = client.post("/v1/translate", json={**REQUEST, "stream": True})

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    events = read_events(reply.text)
    pieces = [data["text"] for kind, data in events if kind == "delta"]
    assert "".join(pieces) == usual["translations"][0]["text"]
    assert [data for kind, data in events if kind == "segment"] == [
        {"index": 0, "segment": 0, "source": "Hallo Welt.", "text": "HALLO WELT."},
        {"index": 0, "segment": 1, "source": "Wie geht es?", "text": "WIE GEHT ES?"},
    ]
    kind, done = events[-1]
    assert kind == "done"
    assert done["translations"] == usual["translations"]
    assert [kind for kind, _ in events].count("done") == 1


def test_what_is_wrong_with_a_request_is_a_problem_though_it_asks_for_a_stream(
    client: TestClient,
) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "target": "fr", "stream": True})

    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"


def test_what_fails_in_the_middle_of_a_stream_is_its_last_event(
    client: TestClient, engine: StubEngine
) -> None:
    engine.error = EngineFailure("a step failed")
    texts = [f" Eins. Zwei {engine.poison}."]

    reply = client.post("/v1/translate", json={**REQUEST, "texts": texts, "stream": True})

    kind, problem = read_events(reply.text)[-1]
    assert kind == "error"
    assert (problem["status"], problem["detail"]) == (500, "a step failed")
    assert problem["request_id"] == reply.headers["x-request-id"]
