"""Replicas behind a balancer that are replaced one after the other."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import POLL_SECONDS, STOP_SECONDS, Server, is_ready, serving
from deploy.chaos.storm import SENTENCE
from deploy.loadtest.http_client import Connection

NUM_REPLICAS = 3
NUM_CLIENTS = 4
CHUNK_BYTES = 65_536
# As `preStop` on Kubernetes: what comes just as a listener closes would be lost.
NOTICE_SECONDS = 1.0


class Balancer:
    """A stand-in for nginx, which it is not: a TCP proxy of one request a connection.

    It asks each replica for /readyz all the time, and tries the next one if a connection is
    refused. What was sent to a replica is sent to no other.
    """

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self._ready: list[Server] = []
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Balance until the context ends; yields the address."""
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as listener:
            watching = asyncio.create_task(self._watch())
            try:
                yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            finally:
                watching.cancel()
                await asyncio.gather(watching, *self._open, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            servers = list(self.servers)
            ready = await asyncio.gather(*(is_ready(server.url) for server in servers))
            self._ready = [server for server, is_up in zip(servers, ready, strict=True) if is_up]
            await asyncio.sleep(POLL_SECONDS)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ready = self._ready[1:] + self._ready[:1]
        for server in list(self._ready):
            parts = urlsplit(server.url)
            with suppress(ConnectionRefusedError):
                above, below = await asyncio.open_connection(parts.hostname, parts.port)
                await asyncio.gather(_copy(reader, below), _copy(above, writer))
                return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until it ends; a lost connection is an end, too."""
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _roll(bundle: Path) -> Outcome:
    balancer, done = Balancer(), asyncio.Event()
    async with AsyncExitStack() as stack:
        for _ in range(NUM_REPLICAS):
            balancer.servers.append(await stack.enter_async_context(serving(bundle)))
        url = await stack.enter_async_context(balancer.running())
        await asyncio.sleep(1.0)  # the first look at the replicas
        users = [asyncio.create_task(_user(url, done)) for _ in range(NUM_CLIENTS)]
        codes = []
        for server in list(balancer.servers):
            balancer.servers.remove(server)
            await asyncio.sleep(NOTICE_SECONDS)
            server.process.send_signal(signal.SIGTERM)
            codes.append(await server.ended(STOP_SECONDS))
            balancer.servers.append(await stack.enter_async_context(serving(bundle)))
        done.set()
        answers = sum(await asyncio.gather(*users), Counter[str]())
    failed = answers.total() - answers["200"]
    why = "".join(f", {count} times {what}" for what, count in answers.items() if what != "200")
    return judge(
        failed == 0 and answers["200"] > 0 and not any(codes),
        f"{failed} of {answers.total()} requests failed{why}; exit codes {codes}",
    )


async def _user(url: str, done: asyncio.Event) -> Counter[str]:
    """Ask again and again; counts answers by status, and failures by their kind."""
    answers = Counter[str]()
    while not done.is_set():
        try:
            async with Connection(url) as connection:
                answers[str((await connection.translate(SENTENCE, "en", "de")).status)] += 1
        except (OSError, EOFError) as error:
            answers[type(error).__name__] += 1
    return answers


ROLL = Scenario(
    name="rolling restart of 3 replicas",
    promise="No request fails behind a balancer (no nginx, a stand-in) that is told before.",
    run=_roll,
)
