"""A server on this machine, for as long as it is needed."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.loadtest.http_client import Connection

START_SECONDS = 120.0
STOP_SECONDS = 15.0


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, health_path: str
) -> Iterator[tuple[str, int]]:
    """Start a server on a free port of loopback; give its URL and the id of its process.

    It is ended by SIGTERM, and killed if it does not listen to that.

    Args:
        command: takes `--port` at its end.
        environment: beside that of this process.
        log: where the server's output goes.
        health_path: what it answers with 200 when it is ready.
    Raises:
        RuntimeError: if the process ends, or is not ready in time.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        asyncio.run(_wait(f"{url}{health_path}", process))
        yield url, process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Ask for health until it is well.

    Raises:
        RuntimeError: if the process ends, or is not ready in time.
    """
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        try:
            async with Connection(url) as connection:
                if (await connection.get("")).status == 200:
                    return
        except OSError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError(f"the server was not ready after {START_SECONDS:.0f} s")
