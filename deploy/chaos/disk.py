"""No place to write: a full disk under the log, and a root that is read-only."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.chaos.promise import Outcome, Scenario, judge, not_run
from deploy.chaos.server import ask, serving
from deploy.chaos.storm import SENTENCE

NUM_REQUESTS = 50
# Every line of the log fails with ENOSPC, and no file on any disk can get longer.
FULL = ("sh", "-c", 'ulimit -f 0; exec "$@" >/dev/full 2>&1', "sh")
FULL_PROOF = ("sh", "-c", "echo word >/dev/full")
# The root is bound over itself in a mount namespace, and only there it is read-only.
ALONE = ("unshare", "--map-root-user", "--mount", "sh", "-c")
READ_ONLY = (*ALONE, 'mount -o remount,bind,ro / && exec "$@"', "sh")
WRITE = ("touch", "/tmp/dragoman-was-here")


async def _fill(bundle: Path) -> Outcome:
    if await _works(FULL_PROOF):
        return not_run("/dev/full takes what is written to it")
    return await _serve(bundle, (*FULL, "env", "DRAGOMAN_LOG_LEVEL=debug"))


async def _protect(bundle: Path) -> Outcome:
    if not await _works((*READ_ONLY, "true")):
        return not_run("the root cannot be mounted again in a namespace of its own")
    if await _works((*READ_ONLY, *WRITE)):
        return not_run("/tmp is another file system than the root")
    return await _serve(bundle, READ_ONLY)


async def _works(command: Sequence[str]) -> bool:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True)
    return done.returncode == 0


async def _serve(bundle: Path, within: Sequence[str]) -> Outcome:
    async with serving(bundle) as server:
        usual = await ask(server.url, SENTENCE)
    async with serving(bundle, within=within) as server:
        answers = [await ask(server.url, SENTENCE) for _ in range(NUM_REQUESTS)]
        num_alike, seconds = answers.count(usual), server.start_seconds
    return judge(
        usual.status == 200 and num_alike == NUM_REQUESTS,
        f"ready after {seconds:.1f} s; {num_alike} of {NUM_REQUESTS} answers as usual",
    )


FULL_DISK = Scenario(
    name="the disk is full",
    promise="It starts and answers as usual; only the log is lost.",
    run=_fill,
)
READ_ONLY_ROOT = Scenario(
    name="the root is read-only",
    promise="It starts and answers as usual: it writes no file.",
    run=_protect,
)
