"""A wall clock that is set while requests are open."""

import asyncio
import email.utils
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from deploy.chaos.promise import Outcome, Scenario, judge, not_run
from deploy.chaos.server import Server, serving
from deploy.chaos.storm import LONG_TEXT
from deploy.loadtest.http_client import Answer, Connection

NUM_CLIENTS = 8
LOAD_SECONDS = 0.3
PATIENCE_SECONDS = 30.0
HOUR = 3600
MOVED_SECONDS = HOUR / 2
SHORT_SECONDS, LATE_SECONDS = 0.05, 10.0  # what a client waits, and when it must know
LONG_SENTENCE = "The old man reads a book " * 20
# More steps than fit into the time.
LONG_OPTIONS = {"beam_size": 8, "min_target_tokens": 500, "max_target_tokens": 512}


async def _jump(bundle: Path) -> Outcome:
    library = _find_library()
    if library is None:
        return not_run("libfaketime is not there (`apt install libfaketime`)")
    with TemporaryDirectory() as folder:
        clock = Path(folder) / "clock"
        clock.write_text("+0\n")
        faked = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",  # the file is read at every look, which costs much time
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no clock that may be set is monotonic
        }
        within = ("env", *(f"{name}={value}" for name, value in faked.items()))
        async with serving(bundle, within=within) as server:
            return await _set_clock(server, clock)


def _find_library() -> Path | None:
    """Debian's libfaketime for programs with threads."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


async def _set_clock(server: Server, clock: Path) -> Outcome:
    """Forward while some wait for long, back while others wait for little."""
    load = [
        asyncio.create_task(_ask(server.url, LONG_TEXT, {}, PATIENCE_SECONDS))
        for _ in range(NUM_CLIENTS)
    ]
    await asyncio.sleep(LOAD_SECONDS)
    num_open = sum(not task.done() for task in load)
    clock.write_text(f"+{HOUR}\n")
    answered = [answer.status for answer in await asyncio.gather(*load)].count(200)
    moved = await _wall_clock(server.url) - time.time()  # noqa: TID251 - this is about it

    started = time.monotonic()
    late = asyncio.create_task(_ask(server.url, LONG_SENTENCE, LONG_OPTIONS, SHORT_SECONDS))
    await asyncio.sleep(SHORT_SECONDS / 2)
    clock.write_text("+0\n")
    status, seconds = (await late).status, time.monotonic() - started
    return judge(
        num_open > 0
        and answered == NUM_CLIENTS
        and moved > MOVED_SECONDS
        and status == 504
        and seconds < LATE_SECONDS,
        f"{moved:.0f} s forward: {answered} of {NUM_CLIENTS} answered, {num_open} of them open; "
        f"back: a deadline of {SHORT_SECONDS:g} s is told after {seconds:.2f} s (status {status})",
    )


async def _ask(url: str, text: str, options: dict[str, int], seconds: float) -> Answer:
    """In the native protocol, whose clients say how long they wait."""
    body = {"texts": [text], "source": "en", "target": "de", "options": options}
    async with Connection(url, PATIENCE_SECONDS) as connection:
        return await connection.post("/v1/translate", body, x_request_timeout=f"{seconds:g}")


async def _wall_clock(url: str) -> float:
    """What the server's clock shows, by its `Date`; it is a second old at most."""
    await asyncio.sleep(1.5)
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head = (await reader.read()).decode().lower()
    writer.close()
    date = head.partition("\r\ndate: ")[2].partition("\r\n")[0]
    return email.utils.parsedate_to_datetime(date).timestamp()


CLOCK = Scenario(
    name="the wall clock jumps by an hour",
    promise="No open request expires by it, and no deadline is put off.",
    run=_jump,
)
