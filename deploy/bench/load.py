"""Load on one server of the benchmark, and a health check beside it."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import perf_counter

from deploy.bench.sentences import Sentence
from deploy.loadtest.http_client import TIMEOUT_SECONDS, Connection
from deploy.loadtest.users import SEED, Reply, Users, arrival_times, ask_libretranslate

HEALTH_PATH = "/health"
HEALTH_PAUSE_SECONDS = 0.1
MAX_CONNECTIONS = 64  # of users who come by chance; waitress, LibreTranslate's server, takes 100


@dataclass(kw_only=True)
class Load:
    """What users of one server saw in one round.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: seconds of each translation, from when its user wanted it.
        health: seconds of each health check meanwhile.
        failures: requests that got no translation: refused, failed, or too late.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def rate(self) -> float:
        """Translations a second."""
        return len(self.latencies) / self.seconds

    @property
    def quickness(self) -> float:
        """One over the median latency: the speed that users see who come by chance."""
        return 1.0 / median(self.latencies or [TIMEOUT_SECONDS])


async def closed_loop(
    url: str, sentences: Sequence[Sentence], num_clients: int, seconds: float
) -> Load:
    """`num_clients` users who each send the next sentence when the last one is answered."""
    users = _users(url, sentences, num_clients)
    return await _beside_health(url, users.wait_in_turns(num_clients, seconds))


async def open_loop(url: str, sentences: Sequence[Sentence], rate: float, seconds: float) -> Load:
    """Users who come as a Poisson process of `rate` a second, whether others are served or not."""
    users = _users(url, sentences, MAX_CONNECTIONS)
    arrivals = arrival_times(rate, seconds, Random(SEED))
    return await _beside_health(url, users.come_by_chance(arrivals))


def _users(url: str, sentences: Sequence[Sentence], max_connections: int) -> Users:
    return Users(
        url,
        sentences,
        ask_libretranslate,
        patience_seconds=TIMEOUT_SECONDS,
        max_connections=max_connections,
    )


async def _beside_health(url: str, users: Awaitable[Sequence[Reply]]) -> Load:
    """What `users` got, and how soon the server's health was answered all the while."""
    load, began = Load(), perf_counter()

    async def check() -> None:
        async with Connection(url) as connection:
            while True:
                started = perf_counter()
                await connection.get(HEALTH_PATH)
                load.health.append(perf_counter() - started)
                await asyncio.sleep(HEALTH_PAUSE_SECONDS)

    checking = asyncio.create_task(check())
    try:
        replies = await users
    finally:
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
    load.seconds = perf_counter() - began
    load.latencies = [reply.seconds for reply in replies if reply.is_ok]
    load.failures = len(replies) - len(load.latencies)
    return load
