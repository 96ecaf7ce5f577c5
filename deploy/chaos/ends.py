"""Ends of the process: at once, and in peace."""

import asyncio
import signal
import subprocess
from pathlib import Path

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import STOP_SECONDS, Server, ask, attempt, is_answer, serving
from deploy.chaos.storm import LONG_TEXT, SENTENCE
from deploy.loadtest.http_client import Answer

NUM_CLIENTS = 16
LOAD_SECONDS = 0.3
READY_SECONDS = 20.0


async def _kill(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        before = await ask(server.url, SENTENCE)
        load = await _begin_load(server)
        server.process.kill()
        lost = (await asyncio.gather(*load)).count(None)
    async with serving(bundle) as server:
        after, seconds = await ask(server.url, SENTENCE), server.start_seconds
    return judge(
        before.status == 200 and after == before and seconds < READY_SECONDS,
        f"{lost} of {NUM_CLIENTS} requests lost; ready {seconds:.1f} s after the restart; "
        f"{'same' if after == before else 'other'} answer",
    )


async def _terminate(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        load = await _begin_load(server)
        open_requests = sum(not task.done() for task in load)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(LOAD_SECONDS)
        late = await attempt(server.url, SENTENCE)
        answers = await asyncio.gather(*load)
        try:
            code = str(await server.ended(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            code = f"none within {STOP_SECONDS:.0f} s"
    answered = sum(map(is_answer, answers))
    return judge(
        open_requests > 0
        and answered == NUM_CLIENTS
        and (late is None or late.status == 503)
        and code == "0",
        f"{answered} of {NUM_CLIENTS} answered, {open_requests} of them open at the signal; then a "
        f"new one {'refused' if late is None else f'got {late.status}'}; exit code {code}",
    )


async def _begin_load(server: Server) -> list["asyncio.Task[Answer | None]"]:
    """Send requests, and wait until they are being decoded; none has ended by then."""
    load = [asyncio.create_task(attempt(server.url, LONG_TEXT)) for _ in range(NUM_CLIENTS)]
    await asyncio.sleep(LOAD_SECONDS)
    return load


KILL = Scenario(
    name="SIGKILL under load",
    promise="A restart is ready within 20 s and answers as before.",
    run=_kill,
)
TERMINATE = Scenario(
    name="SIGTERM under load",
    promise="What was accepted is answered, new requests are refused, the exit code is 0.",
    run=_terminate,
)
