"""Clients that go before they are answered."""

import asyncio
import time
from pathlib import Path
from random import Random

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import Server, ask, serving
from deploy.loadtest.http_client import Connection

NUM_CLIENTS = 100
LONGEST_WAIT_SECONDS = 0.5
FREE_SECONDS = 2.0  # until the last row is free; a step takes milliseconds
SENTENCE = "The old man reads a book in the quiet garden."
LONG_TEXT = " ".join([SENTENCE] * 20)
WASTED = 'dragoman_tokens_total{kind="wasted"}'
TARGET = 'dragoman_tokens_total{kind="target"}'
SEED = 1


async def _storm(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        before, tokens_before = await ask(server.url, SENTENCE), await server.metric(TARGET)
        await ask(server.url, LONG_TEXT)
        asked_tokens = NUM_CLIENTS * (await server.metric(TARGET) - tokens_before)
        random = Random(SEED)
        waits = [random.uniform(0.01, LONGEST_WAIT_SECONDS) for _ in range(NUM_CLIENTS)]
        gone = sum(await asyncio.gather(*(_leave(server.url, wait) for wait in waits)))
        freed_seconds = await _until_free(server)
        wasted = await server.metric(WASTED)
        after = await ask(server.url, SENTENCE)
    kept = (
        gone > 0 and freed_seconds < FREE_SECONDS and 0 < wasted < asked_tokens / 2
    ) and after == before
    return judge(
        kept,
        f"{gone} of {NUM_CLIENTS} clients went; all rows free after {freed_seconds:.2f} s; "
        f"{wasted:.0f} tokens wasted of {asked_tokens:.0f} asked for; "
        f"{'same' if after == before else 'other'} answer afterwards",
    )


async def _leave(url: str, seconds: float) -> bool:
    """Ask, and go after so long; say whether there was no answer until then."""
    async with Connection(url) as connection:
        try:
            async with asyncio.timeout(seconds):
                await connection.translate(LONG_TEXT, "en", "de")
        except TimeoutError:
            return True
    return False


async def _until_free(server: Server) -> float:
    """Seconds until nothing waits and nothing runs; `FREE_SECONDS` if that takes longer."""
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < FREE_SECONDS:
        held = [await server.metric(f"dragoman_{name}") for name in ("queue_depth", "rows_running")]
        if not any(held):
            return seconds
        await asyncio.sleep(0.02)
    return FREE_SECONDS


STORM = Scenario(
    name="clients disconnect mid-request",
    promise="Rows are freed, wasted tokens are counted and few, and the next request is answered.",
    run=_storm,
)
