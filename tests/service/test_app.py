"""The app behind a real server, on a real socket: what no in-process client can show."""

import socket
import threading
from typing import Self

import httpx2
import uvicorn
from fastapi import FastAPI

from tests.service.conftest import MakeApp
from tests.service.stub_engine import StubEngine

HELLO = b'{"q": "Hallo", "source": "de", "target": "en"}'


class RunningServer:
    """A server on its own thread; it stops, and drains, when told or left."""

    def __init__(self, app: FastAPI) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=10)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        with self.client() as client:
            while client.get("/readyz").status_code != 200:
                pass
        return self

    def __exit__(self, *_: object) -> None:
        self.begin_stop()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    def client(self) -> httpx2.Client:
        host, port = self.address
        return httpx2.Client(base_url=f"http://{host}:{port}")

    def begin_stop(self) -> None:
        self._server.should_exit = True


def post_without_waiting(
    server: RunningServer, path: bytes = b"/translate", body: bytes = HELLO
) -> socket.socket:
    connection = socket.create_connection(server.address)
    connection.sendall(
        b"POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (path, len(body), body)
    )
    return connection


def test_a_client_that_goes_has_its_job_dropped(make_app: MakeApp, engine: StubEngine) -> None:
    cancelled = 'dragoman_requests_total{api="libretranslate",outcome="cancelled"} 1.0'
    engine.gate.clear()
    with RunningServer(make_app()) as server:
        with post_without_waiting(server):
            assert engine.taken.wait(timeout=10)

        assert engine.dropped.wait(timeout=10)
        with server.client() as client:
            while cancelled not in client.get("/metrics").text:
                pass


def test_a_client_that_goes_in_the_middle_of_a_stream_has_its_job_dropped(
    make_app: MakeApp, engine: StubEngine
) -> None:
    cancelled = 'dragoman_requests_total{api="native",outcome="cancelled"} 1.0'
    body = b'{"texts": [" Hallo"], "source": "de", "target": "en", "stream": true}'
    engine.gate.clear()
    with RunningServer(make_app()) as server:
        with post_without_waiting(server, b"/v1/translate", body) as connection:
            with connection.makefile("rb") as reply:
                while not (line := reply.readline()).startswith(b"data: "):
                    assert line
                assert line == b'data: {"index": 0, "text": " "}\n'
            assert not engine.dropped.is_set()

        assert engine.dropped.wait(timeout=10)
        with server.client() as client:
            while cancelled not in client.get("/metrics").text:
                pass


def test_a_client_that_goes_before_the_first_event_of_a_stream_has_its_job_dropped(
    make_app: MakeApp, engine: StubEngine
) -> None:
    body = b'{"texts": ["Hallo"], "source": "de", "target": "en", "stream": true}'
    engine.gate.clear()
    with RunningServer(make_app()) as server:
        with post_without_waiting(server, b"/v1/translate", body):
            assert engine.taken.wait(timeout=10)

        assert engine.dropped.wait(timeout=10)


def test_a_stop_finishes_the_requests_that_are_in(make_app: MakeApp, engine: StubEngine) -> None:
    engine.gate.clear()
    with RunningServer(make_app()) as server, post_without_waiting(server) as connection:
        assert engine.taken.wait(timeout=10)

        server.begin_stop()
        engine.gate.set()

        with connection.makefile("rb") as reply:
            assert reply.read().endswith(b'{"translatedText":"HALLO"}')
    assert engine.drained.is_set()


def test_an_upload_over_the_limit_is_refused_while_it_is_sent(make_app: MakeApp) -> None:
    head = b"POST /v1/translate HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n"
    app = make_app(max_body_bytes=1_000)
    with RunningServer(app) as server, socket.create_connection(server.address) as connection:
        connection.sendall(head)

        with connection.makefile("rb") as reply:
            assert reply.readline().startswith(b"HTTP/1.1 413 ")
