"""Clients that take very long to say what they want."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import serving
from deploy.chaos.storm import SENTENCE
from deploy.loadtest.http_client import Connection

NUM_SLOW = 100
NUM_REQUESTS = 40
PAUSE_SECONDS = 0.1  # between requests, so that they span several bytes of the slow ones
MAX_RATIO = 2.0  # of medians; this is a shared machine
REQUEST = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def _slow(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        await _median_seconds(server.url)  # warm
        alone = await _median_seconds(server.url)
        async with AsyncExitStack() as stack:
            slow = [
                await stack.enter_async_context(_slow_client(server.url)) for _ in range(NUM_SLOW)
            ]
            beside = await _median_seconds(server.url)
            still_open = sum(not task.done() for task in slow)
    return judge(
        still_open == NUM_SLOW and beside < MAX_RATIO * alone,
        f"median {alone * 1e3:.0f} ms alone, {beside * 1e3:.0f} ms beside {still_open} slow ones",
    )


@asynccontextmanager
async def _slow_client(url: str) -> AsyncIterator["asyncio.Task[None]"]:
    """Send a byte of a request each second until the context ends."""
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)

    async def send() -> None:
        for byte in REQUEST:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1.0)

    task = asyncio.create_task(send())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


async def _median_seconds(url: str) -> float:
    """Of one request at a time."""
    seconds = []
    async with Connection(url) as connection:
        for _ in range(NUM_REQUESTS):
            started = time.perf_counter()
            answer = await connection.translate(SENTENCE, "en", "de")
            if answer.status != 200:
                raise ConnectionError(f"status {answer.status}")
            seconds.append(time.perf_counter() - started)
            await asyncio.sleep(PAUSE_SECONDS)
    return median(seconds)


SLOW = Scenario(
    name="100 clients send a byte a second",
    promise="Others do not wait for them: the median at most doubles.",
    run=_slow,
)
