"""Users of a server: those who wait for each answer, and those who come by chance."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import NamedTuple

from deploy.bench.sentences import Sentence
from deploy.loadtest.http_client import Answer, Connection

SEED = 1  # of arrivals: the same users come to every server
GAVE_UP, BROKEN = "gave up", "broken"
NATIVE_PATH = "/v1/translate"

Ask = Callable[[Connection, Sentence], Awaitable[Answer]]


class Reply(NamedTuple):
    """What one user got.

    Attributes:
        wanted_at: when the user wanted it, in seconds from the start of the load.
        sent_at: when the request was sent, which is later if its sender was busy.
        ended_at: when the answer was there.
        outcome: the HTTP status; `GAVE_UP` if the user hung up, `BROKEN` if there was no answer.
    """

    wanted_at: float
    sent_at: float
    ended_at: float
    outcome: str

    @property
    def seconds(self) -> float:
        """How long the user waited."""
        return self.ended_at - self.wanted_at

    @property
    def is_ok(self) -> bool:
        """Whether there was a translation."""
        return self.outcome == "200"

    @property
    def is_refusal(self) -> bool:
        """Whether the server said that it has no room."""
        return self.outcome in ("429", "503")

    @property
    def is_error(self) -> bool:
        """Whether it is neither a translation nor a way out of too much load."""
        return not (self.is_ok or self.is_refusal or self.outcome in ("504", GAVE_UP))


async def ask_libretranslate(connection: Connection, sentence: Sentence) -> Answer:
    """In the protocol that all servers of the benchmark know."""
    return await connection.translate(sentence.text, sentence.source, sentence.target)


async def ask_native(connection: Connection, sentence: Sentence, good_seconds: float) -> Answer:
    """In our own protocol, which tells a full queue from a deadline.

    Args:
        good_seconds: told to the service, which refuses at once what would come later.
    """
    body = {"texts": [sentence.text], "source": sentence.source, "target": sentence.target}
    return await connection.post(NATIVE_PATH, body, x_request_timeout=f"{good_seconds:g}")


class Users:
    """Users of one server, and what they got; for one load.

    Args:
        url: of the server.
        sentences: what they want translated, in turns.
        ask: the protocol.
        patience_seconds: after which a user hangs up.
        max_connections: open at once; who finds all in use waits, and that counts.
    """

    def __init__(
        self,
        url: str,
        sentences: Sequence[Sentence],
        ask: Ask,
        *,
        patience_seconds: float,
        max_connections: int,
    ) -> None:
        self._url, self._sentences, self._ask = url, sentences, ask
        self._patience_seconds = patience_seconds
        self._doors = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._started = time.perf_counter()
        self.replies: list[Reply] = []

    async def wait_in_turns(self, num_users: int, seconds: float) -> list[Reply]:
        """Closed loop: `num_users` who each send the next text when the last one is answered."""
        self._started = time.perf_counter()

        async def user(number: int) -> None:
            place = number * len(self._sentences) // num_users  # not all the same text at once
            while (now := self._now()) < seconds:
                await self._serve(place, now)
                place += 1

        await asyncio.gather(*map(user, range(num_users)))
        return self._finish()

    async def come_by_chance(self, arrivals: Sequence[float]) -> list[Reply]:
        """Open loop: a user at each of the moments, whether the others are served or not."""
        self._started = time.perf_counter()
        open_requests: list[asyncio.Task[None]] = []
        for place, arrival in enumerate(arrivals):
            await asyncio.sleep(max(0.0, arrival - self._now()))
            open_requests.append(asyncio.create_task(self._serve(place, arrival)))
        await asyncio.gather(*open_requests)
        return self._finish()

    def _now(self) -> float:
        return time.perf_counter() - self._started

    def _finish(self) -> list[Reply]:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        return self.replies

    async def _serve(self, place: int, wanted_at: float) -> None:
        sentence = self._sentences[place % len(self._sentences)]
        async with self._doors:
            sent_at = self._now()
            try:
                outcome = str((await self._exchange(sentence)).status)
            except TimeoutError:
                outcome = GAVE_UP
            except (OSError, EOFError, ValueError):
                outcome = BROKEN
        self.replies.append(Reply(wanted_at, sent_at, self._now(), outcome))

    async def _exchange(self, sentence: Sentence) -> Answer:
        """Ask over a connection that is free, or a new one if the server has closed it meanwhile.

        Source: RFC 9112, section 9.5: a server may close an idle connection just when it is used.
        """
        if self._idle:
            try:
                return await self._ask_over(self._idle.pop(), sentence)
            except TimeoutError:
                raise
            except (OSError, EOFError):
                pass
        connection = Connection(self._url, self._patience_seconds)
        await connection.open()
        return await self._ask_over(connection, sentence)

    async def _ask_over(self, connection: Connection, sentence: Sentence) -> Answer:
        """Ask once; only good connections are kept."""
        try:
            answer = await self._ask(connection, sentence)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer


def arrival_times(rate: float, seconds: float, random: Random) -> list[float]:
    """Times of a Poisson process from 0 to `seconds`: gaps are exponential."""
    times, now = [], random.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += random.expovariate(rate)
    return times
