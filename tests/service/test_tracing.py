"""Spans, as a collector gets them over HTTP."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import MakeApp, wait_until_ready

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytest.importorskip("opentelemetry.sdk.trace")

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REQUEST = {"texts": ["Geheimnis. Noch eins."], "source": "de", "target": "en"}


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for body in self.bodies
            for resource in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(app: Any, *, query: dict[str, str] | None = None) -> int:
    """Ask for one translation as part of a trace, and let the service stop; return the status."""
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    with TestClient(app) as client:
        wait_until_ready(client)
        if query:
            reply = client.post("/translate", params=query, headers=headers)
        else:
            reply = client.post("/v1/translate", json=REQUEST, headers=headers)
        client.get("/metrics")
    return reply.status_code


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_request_is_a_span_of_the_trace_of_its_client(
    make_app: MakeApp, collector: Collector
) -> None:
    ask(make_app(traces_url=collector.url))

    [span] = collector.spans
    assert span.trace_id.hex() == TRACE_ID
    assert span.name == "POST /v1/translate"
    found = attributes(span)
    assert found["http.response.status_code"] == 200
    assert found["dragoman.texts"] == 1
    assert found["dragoman.source_tokens"] == found["dragoman.target_tokens"] == 20
    assert (found["dragoman.queue_seconds"], found["dragoman.decode_seconds"]) == (0.25, 0.5)


def test_spans_never_have_source_text(make_app: MakeApp, collector: Collector) -> None:
    query = {"q": "Geheimnis", "source": "de", "target": "zz"}

    ask(make_app(traces_url=collector.url), query=query)

    [span] = collector.spans
    assert attributes(span)["url.query"] == "REDACTED"
    assert not [body for body in collector.bodies if b"Geheimnis" in body]


def test_nothing_is_sent_unless_a_setting_says_where_to(
    make_app: MakeApp, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url)
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")

    ask(make_app())

    assert collector.bodies == []


def test_a_collector_that_is_gone_is_no_trouble_for_requests(make_app: MakeApp) -> None:
    assert ask(make_app(traces_url="http://127.0.0.1:1/v1/traces")) == 200
