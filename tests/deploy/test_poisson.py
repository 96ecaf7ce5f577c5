"""The load generator: random moments of a known rate, and an honest count of what came of them."""

import http.server
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import cycle, pairwise
from runpy import run_path

import pytest

from tests.deploy.test_prometheus import ROOT

SCRIPT = ROOT / "deploy" / "loadtest" / "poisson.py"
poisson = run_path(str(SCRIPT))


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers every third request with 429."""

    statuses = cycle([200, 200, 429])
    bodies: list[bytes] = []  # noqa: RUF012 - what was asked, over all connections

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(next(self.statuses))
        self.send_header("Content-Length", "0")
        self.end_headers()

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


def test_moments_are_in_order_and_as_many_as_the_rate_says() -> None:
    moments = list(poisson["arrivals"](5.0, 2_000.0, random.Random(1)))

    assert all(one < other for one, other in pairwise(moments))
    assert moments[0] > 0 and moments[-1] < 2_000
    assert len(moments) == pytest.approx(10_000, abs=400)  # four standard deviations


def test_the_same_seed_asks_the_same() -> None:
    first, second = (list(poisson["arrivals"](5.0, 9.0, random.Random(3))) for _ in range(2))

    assert first == second


def test_every_request_is_counted_by_what_became_of_it(url: str) -> None:
    command = [sys.executable, str(SCRIPT), "--url", url, "--rate", "300", "--seconds", "0.3"]

    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    counts = {line.split()[0]: int(line.split()[1]) for line in run.stdout.splitlines()[:2]}
    assert counts.keys() == {"200", "429"}
    assert sum(counts.values()) == len(_Server.bodies)
    assert counts["429"] == len(_Server.bodies) // 3
    assert "p99 " in run.stdout


def test_a_service_that_is_not_there_is_an_error_and_no_answer() -> None:
    due = time.monotonic() - 5.0

    answer = poisson["ask"]("http://127.0.0.1:1", "de", "Hallo", due)

    assert answer.seconds >= 5.0
    assert answer.status == "ConnectionRefusedError"
    assert poisson["describe"]([answer], 1.0).endswith("answered 0.00 a second, asked 1.00")
