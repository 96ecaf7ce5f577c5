"""Users of a server, who wait for each answer or come by chance; and a health check beside them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median

from deploy.bench.http_client import TIMEOUT_SECONDS, Connection
from deploy.bench.sentences import Sentence

HEALTH_PATH = "/health"
HEALTH_PAUSE_SECONDS = 0.1
MAX_CONNECTIONS = 64  # of users who come by chance; waitress, LibreTranslate's server, takes 100
SEED = 1

Clock = Callable[[], float]


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
    port: int, sentences: Sequence[Sentence], num_clients: int, seconds: float
) -> Load:
    """`num_clients` users who each send the next sentence when the last one is answered."""
    load, started = Load(), time.perf_counter()

    async def user(number: int) -> None:
        place = number * len(sentences) // num_clients  # not all the same sentence at once
        async with Connection(port) as connection:
            while time.perf_counter() - started < seconds:
                sentence = sentences[place % len(sentences)]
                await _translate(connection, sentence, time.perf_counter(), load)
                place += 1

    await _beside_health(port, asyncio.gather(*map(user, range(num_clients))), load)
    load.seconds = time.perf_counter() - started
    return load


async def open_loop(port: int, sentences: Sequence[Sentence], rate: float, seconds: float) -> Load:
    """Users who come as a Poisson process of `rate` a second, whether others are served or not."""
    load, started = Load(), time.perf_counter()
    arrivals = arrival_times(rate, seconds, Random(SEED))
    waiting = iter(enumerate(started + arrival for arrival in arrivals))

    async def door() -> None:
        """A connection that takes the next user who has come."""
        async with Connection(port) as connection:
            for number, arrival in waiting:
                await asyncio.sleep(max(0.0, arrival - time.perf_counter()))
                await _translate(connection, sentences[number % len(sentences)], arrival, load)

    doors = [door() for _ in range(min(MAX_CONNECTIONS, len(arrivals)))]
    await _beside_health(port, asyncio.gather(*doors), load)
    load.seconds = time.perf_counter() - started
    return load


def arrival_times(rate: float, seconds: float, random: Random) -> list[float]:
    """Times of a Poisson process from 0 to `seconds`: gaps are exponential."""
    times, now = [], random.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += random.expovariate(rate)
    return times


async def _translate(
    connection: Connection, sentence: Sentence, wanted_at: float, load: Load
) -> None:
    try:
        answer = await connection.translate(sentence.text, sentence.source, sentence.target)
    except (OSError, EOFError, TimeoutError):
        load.failures += 1
        await connection.renew()
        return
    if answer.status == 200:
        load.latencies.append(time.perf_counter() - wanted_at)
    else:
        load.failures += 1


async def _beside_health(port: int, users: Awaitable[object], load: Load) -> None:
    """Wait for `users`, and ask for the server's health all the while."""

    async def check() -> None:
        async with Connection(port) as connection:
            while True:
                started = time.perf_counter()
                await connection.get(HEALTH_PATH)
                load.health.append(time.perf_counter() - started)
                await asyncio.sleep(HEALTH_PAUSE_SECONDS)

    checking = asyncio.create_task(check())
    try:
        await users
    finally:
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
