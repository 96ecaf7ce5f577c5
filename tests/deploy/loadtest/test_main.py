"""A whole run, short, against a server of its own."""

import http.server
import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.loadtest.__main__ import main

OPEN = ("--seconds", "0.3", "--capacity", "50")


class _Server(http.server.BaseHTTPRequestHandler):
    """Gives texts back, refuses every third request, and says in its metrics how often."""

    protocol_version = "HTTP/1.1"
    number = count(1)
    num_refused = 0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_refused = next(self.number) % 3 == 0
        _Server.num_refused += is_refused
        self._reply(429 if is_refused else 200, json.dumps(asked["texts"]))

    def do_GET(self) -> None:
        name = 'dragoman_requests_refused_total{reason="queue-full"}'
        self._reply(200, f"{name} {float(self.num_refused)}\n")

    def _reply(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_run_prints_a_table_and_leaves_figures_and_a_curve(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--url", url, "--output", str(tmp_path), *OPEN, "--shares", "0.5", "1"])

    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    half, whole = results["stages"]
    assert (half["load"], whole["load"]) == ("0.5 x capacity", "1 x capacity")
    assert whole["unanswered"]["429"] == whole["server"]["refused"]["queue-full"]
    assert whole["latency_seconds"]["50"] > 0
    assert status == (1 if results["missed"] else 0)
    assert "queue-full" in capsys.readouterr().out
    ElementTree.fromstring((tmp_path / "curve.svg").read_text(encoding="utf-8"))


def test_a_missed_threshold_is_status_1(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounds = ["--shares", "1", "--refusal-p95-seconds", "0"]

    assert main(["--url", url, "--output", str(tmp_path), *OPEN, *bounds]) == 1
    assert "missed: 1 x capacity: refused after" in capsys.readouterr().out


def test_capacity_is_what_users_who_wait_get(url: str, tmp_path: Path) -> None:
    short = ["--users", "2", "--closed-seconds", "0.2", "--seconds", "0.3", "--shares", "0.1"]

    main(["--url", url, "--output", str(tmp_path), *short])

    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["stages"][0]["load"] == "2 users"
    assert results["capacity_per_second"] == results["stages"][0]["answered_per_second"] > 0


def test_no_service_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("loadtest: ")
