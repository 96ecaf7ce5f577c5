"""What /metrics says of requests, asked as Prometheus asks."""

from fastapi.testclient import TestClient

from service.errors import EngineFailure
from tests.service.conftest import MakeClient
from tests.service.stub_engine import StubEngine

REQUEST = {"texts": ["Hallo Welt. Wie geht es?"], "source": "de", "target": "en"}


def test_metrics_tell_what_requests_did(client: TestClient) -> None:
    client.post("/v1/translate", json=REQUEST)
    client.post("/v1/translate", json={**REQUEST, "target": "xx"})
    client.post("/translate", data={"q": "Hallo", "source": "de", "target": "en"})

    lines = client.get("/metrics").text.splitlines()

    assert 'dragoman_requests_total{api="native",outcome="ok"} 1.0' in lines
    assert 'dragoman_requests_total{api="native",outcome="client_error"} 1.0' in lines
    assert 'dragoman_requests_total{api="libretranslate",outcome="ok"} 1.0' in lines
    assert 'dragoman_texts_finished_total{finish_reason="stop",pair="de-en"} 2.0' in lines
    assert 'dragoman_characters_total{pair="de-en"} 29.0' in lines
    assert "dragoman_ready 1.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_metrics_tell_how_long_requests_and_their_tokens_took(client: TestClient) -> None:
    client.post("/v1/translate", json=REQUEST)

    lines = client.get("/metrics").text.splitlines()

    labels = '{api="native",outcome="ok"}'
    assert f"dragoman_request_duration_seconds_count{labels} 1.0" in lines
    assert "dragoman_time_to_first_token_seconds_count 1.0" in lines
    assert "dragoman_time_per_output_token_seconds_count 2.0" in lines
    assert "dragoman_queue_time_seconds_sum 0.5" in lines


def test_metrics_show_every_outcome_from_the_start(client: TestClient) -> None:
    text = client.get("/metrics").text

    for outcome in ("ok", "client_error", "rejected", "cancelled", "timeout", "error"):
        assert f'dragoman_requests_total{{api="native",outcome="{outcome}"}} 0.0' in text
    assert 'dragoman_requests_refused_total{reason="queue-full"} 0.0' in text


def test_metrics_tell_why_requests_were_refused(
    make_client: MakeClient, engine: StubEngine
) -> None:
    client = make_client(max_body_bytes=200)
    client.post("/v1/translate", json={**REQUEST, "texts": ["x" * 300]})
    client.post("/v1/translate", json={**REQUEST, "target": "xx"})
    engine.is_full = True
    client.post("/v1/translate", json=REQUEST)
    client.post("/translate", data={"q": "Hallo", "source": "de", "target": "en"})

    lines = client.get("/metrics").text.splitlines()

    counts = {"body-too-large": 1, "unsupported-language": 1, "queue-full": 2, "not-ready": 0}
    for reason, count in counts.items():
        assert f'dragoman_requests_refused_total{{reason="{reason}"}} {count}.0' in lines
    assert 'dragoman_requests_total{api="libretranslate",outcome="rejected"} 1.0' in lines


def test_metrics_tell_of_sentences_that_were_cut_or_repeat_themselves(
    client: TestClient, engine: StubEngine
) -> None:
    engine.finish_reason, engine.num_repeats = "length", 8
    client.post("/v1/translate", json=REQUEST)
    engine.finish_reason, engine.num_repeats = "stop", 1
    client.post("/v1/translate", json={**REQUEST, "texts": ["ha" * 8]})

    lines = client.get("/metrics").text.splitlines()

    assert 'dragoman_truncated_total{pair="de-en"} 2.0' in lines
    assert 'dragoman_loops_total{pair="de-en"} 2.0' in lines


def test_a_stream_that_fails_in_the_middle_is_no_success(
    client: TestClient, engine: StubEngine
) -> None:
    engine.error = EngineFailure("a step failed")
    texts = [f" Eins. Zwei {engine.poison}."]

    reply = client.post("/v1/translate", json={**REQUEST, "texts": texts, "stream": True})

    assert reply.status_code == 200
    lines = client.get("/metrics").text.splitlines()
    assert 'dragoman_requests_total{api="native",outcome="error"} 1.0' in lines
    assert 'dragoman_requests_total{api="native",outcome="ok"} 0.0' in lines
