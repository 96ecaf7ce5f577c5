"""The real service as another process: started, asked, and ended by its id."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.loadtest.http_client import TIMEOUT_SECONDS, Answer, Connection

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
ROOT = Path(__file__).parents[2]


class NotStarted(Exception):
    """The service ended, or was not ready in time."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A service that was ready.

    Attributes:
        start_seconds: from the start of the process until it was ready.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    start_seconds: float

    async def metric(self, name: str) -> float:
        """The value of a metric; `name` is as it is shown, labels included.

        Raises:
            ValueError: if there is none.
        """
        async with Connection(self.url) as connection:
            answer = await connection.get("/metrics")
        for line in answer.body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise ValueError(f"no metric {name}")

    async def ended(self, seconds: float) -> int:
        """Wait for the end of the process; its exit code.

        Raises:
            subprocess.TimeoutExpired: if it goes on.
        """
        return await asyncio.to_thread(self.process.wait, seconds)


def start(
    bundle: Path, port: int, *, within: Sequence[str] = (), module: str = "dragoman"
) -> "subprocess.Popen[bytes]":
    """Start the service; what it says on stderr can be read from the process.

    Args:
        within: a command that becomes the one behind it, `env A=B` or `unshare --net` for example.
        module: what is run.
    """
    command = [*within, sys.executable, "-m", module, "serve", "--bundle", str(bundle)]
    return subprocess.Popen(
        [*command, "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DRAGOMAN_LOG_LEVEL": "error"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def end_of_start(bundle: Path, *, within: Sequence[str] = ()) -> tuple[int, str]:
    """Start a service that cannot be: its exit code, and what it said on stderr.

    Args:
        within: see `start`.

    Raises:
        subprocess.TimeoutExpired: if it has not ended in time; it is killed then.
    """
    with start(bundle, free_port(), within=within) as process:
        try:
            _, errors = process.communicate(timeout=START_SECONDS)
        finally:
            process.kill()
    return process.returncode, errors.decode()


@asynccontextmanager
async def serving(
    bundle: Path, *, port: int = 0, within: Sequence[str] = (), module: str = "dragoman"
) -> AsyncIterator[Server]:
    """A service that is ready; it is killed at the end, if it has not ended by then.

    Args:
        port: to listen on; 0 for any free one.
        within, module: see `start`.

    Raises:
        NotStarted: if it does not get ready.
    """
    port, started = port or free_port(), time.monotonic()
    url = f"http://127.0.0.1:{port}"
    with start(bundle, port, within=within, module=module) as process:
        try:
            while not await is_ready(url):
                if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                    raise NotStarted(f"exit code {process.poll()}")
                await asyncio.sleep(POLL_SECONDS)
            yield Server(url=url, process=process, start_seconds=time.monotonic() - started)
        finally:
            process.kill()


async def ask(url: str, text: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Have one text translated, over a connection of its own.

    Raises:
        OSError, EOFError: if the connection is refused or lost, or the answer takes too long.
    """
    async with Connection(url, timeout_seconds) as connection:
        return await connection.translate(text, "en", "de")


async def attempt(url: str, text: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer | None:
    """As `ask`; None if there is no answer."""
    try:
        return await ask(url, text, timeout_seconds)
    except (OSError, EOFError):
        return None


def is_answer(answer: Answer | None) -> bool:
    """Say whether an attempt got a translation."""
    return answer is not None and answer.status == 200


async def is_ready(url: str) -> bool:
    """Say whether the service at `url` takes requests."""
    try:
        async with Connection(url) as connection:
            return (await connection.get("/readyz")).status == 200
    except (OSError, EOFError):
        return False


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
