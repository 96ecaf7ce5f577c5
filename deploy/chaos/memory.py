"""Less memory than is needed: from the start, and under load."""

import asyncio
import resource
import subprocess
import time
from pathlib import Path

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import START_SECONDS, Server, attempt, end_of_start, is_answer, serving
from deploy.chaos.storm import LONG_TEXT, SENTENCE
from deploy.loadtest.http_client import Connection

TOO_LITTLE = 0.75  # of the address space that a service takes when it is ready
NUM_CLIENTS = 40
PATIENCE_SECONDS = 5.0  # of those whose answer gets lost
END_SECONDS = 5.0
# The log is full of tracebacks then, and a pipe that nobody reads would hold the service up.
SILENT = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")
LIVES_IN_VAIN = "an answer at /livez, and to nothing else"
REASONS = ("alloc", "memory", "cannot be loaded", "can't start new thread", "failed to map")


async def _start_small(bundle: Path) -> Outcome:
    async with serving(bundle) as server:
        limit = int(TOO_LITTLE * _address_space(server))
    return await asyncio.to_thread(_start_within, bundle, limit)


def _start_within(bundle: Path, limit: int) -> Outcome:
    started = time.monotonic()
    within = ("sh", "-c", f'ulimit -v {limit // 1024}; exec "$@"', "sh")
    try:
        code, errors = end_of_start(bundle, within=within)
    except subprocess.TimeoutExpired:
        return judge(False, f"neither ready nor ended after {START_SECONDS:.0f} s")
    seconds = time.monotonic() - started
    reason = next((reason for reason in REASONS if reason in errors.lower()), "no reason")
    return judge(
        code > 0 and reason in REASONS,
        f"{limit / 1e6:.0f} MB of address space: exit code {code} after "
        f"{seconds:.1f} s, with the reason ({reason})",
    )


async def _run_out(bundle: Path) -> Outcome:
    async with serving(bundle, within=SILENT) as server:
        _limit(server, _address_space(server))
        load = (attempt(server.url, LONG_TEXT, PATIENCE_SECONDS) for _ in range(NUM_CLIENTS))
        answers = await asyncio.gather(*load)
        last = await _last_word(server)
    answered = sum(map(is_answer, answers))
    return judge(
        last != LIVES_IN_VAIN, f"{answered} of {NUM_CLIENTS} requests were answered; then {last}"
    )


async def _last_word(server: Server) -> str:
    """What becomes of a service that may have memory again, or has ended."""
    if server.process.poll() is None:
        _limit(server, resource.RLIM_INFINITY)
    if is_answer(await attempt(server.url, SENTENCE, PATIENCE_SECONDS)):
        return "an answer"
    try:
        return f"the end, exit code {await server.ended(END_SECONDS)}"
    except subprocess.TimeoutExpired:
        return LIVES_IN_VAIN if await _is_alive(server) else "no answer at /livez, either"


async def _is_alive(server: Server) -> bool:
    """What its liveness probe would say."""
    try:
        async with Connection(server.url, PATIENCE_SECONDS) as connection:
            return (await connection.get("/livez")).status == 200
    except (OSError, EOFError):
        return False


def _address_space(server: Server) -> int:
    """Bytes that the process has mapped."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def _limit(server: Server, num_bytes: int) -> None:
    limits = (num_bytes, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, limits)


SMALL_START = Scenario(
    name="too little memory to start",
    promise="It ends with an exit code above 0 and the reason; it does not hang.",
    run=_start_small,
)
OUT_OF_MEMORY = Scenario(
    name="no memory is left under load",
    promise="It answers again when there is memory, or ends, or fails its liveness probe.",
    run=_run_out,
)
