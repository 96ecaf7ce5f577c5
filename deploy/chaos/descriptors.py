"""A service that may open no more files."""

import asyncio
import resource
import time
from pathlib import Path
from urllib.parse import urlsplit

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import attempt, is_answer, serving
from deploy.chaos.storm import SENTENCE

MAX_FILES = 64
NUM_CONNECTIONS = 100
HELD_SECONDS = 2.0
RECOVERY_SECONDS = 5.0
PAUSE_SECONDS = 0.1


async def _exhaust(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
        parts = urlsplit(server.url)
        writers = [
            (await asyncio.open_connection(parts.hostname, parts.port))[1]
            for _ in range(NUM_CONNECTIONS)
        ]
        await asyncio.sleep(HELD_SECONDS)
        num_open = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        for writer in writers:
            writer.close()
        started, num_lost = time.monotonic(), 0
        while not is_answer(await attempt(server.url, SENTENCE, RECOVERY_SECONDS)):
            num_lost += 1  # what is taken while no file is free is closed at once
            if time.monotonic() - started > RECOVERY_SECONDS:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        seconds = time.monotonic() - started
    return judge(
        num_open >= MAX_FILES - 1 and seconds < RECOVERY_SECONDS,
        f"{num_open} of {MAX_FILES} files open; {num_lost} requests lost, then one answered "
        f"after {seconds:.2f} s",
    )


DESCRIPTORS = Scenario(
    name="no file descriptor is left",
    promise="Once connections close, answers come again within 5 s; the first request may be lost.",
    run=_exhaust,
)
