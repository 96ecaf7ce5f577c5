"""Which tokens of the source the tokens of a translation were read from, for those who ask."""

from typing import Any

from fastapi.testclient import TestClient

from tests.service.stub_engine import StubEngine
from tests.service.test_event_stream import read_events

REQUEST = {"texts": ["Ja. No!"], "source": "de", "target": "en", "alignment": True}
SOURCES = [0, 1, 2, None, 3, 4, 5, None]  # each sentence has an end


def translate(client: TestClient, **changes: Any) -> dict[str, Any]:
    reply = client.post("/v1/translate", json={**REQUEST, **changes})
    assert reply.status_code == 200, reply.text
    best: dict[str, Any] = reply.json()["translations"][0]
    return best


def sources(candidate: dict[str, Any]) -> list[int | None]:
    return [each.get("source") for each in candidate["tokens"]]


def test_places_count_the_source_tokens_of_all_sentences(client: TestClient) -> None:
    found = translate(client)

    assert found["source_pieces"] == list("Ja.No!")
    assert sources(found) == SOURCES


def test_tokens_have_their_log_probabilities_beside_it(client: TestClient) -> None:
    assert translate(client)["tokens"][0] == {"text": "J", "log_prob": -1.0, "source": 0}


def test_every_alternative_has_its_own_alignment(client: TestClient) -> None:
    [other] = translate(client, options={"num_hypotheses": 2})["alternatives"]

    assert sources(other) == [0, 1, 2, 2, None, 3, 4, 5, 5, None]


def test_control_tokens_count_as_no_source(client: TestClient, engine: StubEngine) -> None:
    translate(client, source="en", target="de", texts=["You."], formality="formal")

    [job] = engine.jobs
    assert job.aligned == range(2, 6)  # behind the tag and the mark, before eos


def test_a_sentence_that_was_cut_is_aligned_without_an_end(
    client: TestClient, engine: StubEngine
) -> None:
    engine.finish_reason = "length"

    assert sources(translate(client)) == [0, 1, 2, 3, 4, 5]


def test_a_text_with_nothing_to_translate_has_an_empty_one(client: TestClient) -> None:
    found = translate(client, texts=["42"])

    assert (found["source_pieces"], found["tokens"]) == ([], [])


def test_it_is_told_only_to_those_who_ask(client: TestClient, engine: StubEngine) -> None:
    found = translate(client, alignment=False, log_probs=True)

    assert "source_pieces" not in found
    assert not any("source" in each for each in found["tokens"])
    assert {job.aligned for job in engine.jobs} == {None}


def test_a_stream_ends_with_it(client: TestClient) -> None:
    reply = client.post("/v1/translate", json={**REQUEST, "stream": True})

    _, done = read_events(reply.text)[-1]
    assert sources(done["translations"][0]) == SOURCES
