"""How users come, and how their replies are told apart."""

import asyncio
from functools import partial
from itertools import pairwise
from random import Random

import pytest

from deploy.bench.sentences import Sentence
from deploy.loadtest.users import BROKEN, GAVE_UP, Reply, Users, arrival_times, ask_native

SENTENCES = [Sentence("de", "en", "Hallo.")]


def test_users_come_at_the_rate_that_is_asked_for() -> None:
    times = arrival_times(rate=50.0, seconds=100.0, random=Random(1))

    assert times == sorted(times)
    assert times[0] > 0.0
    assert times[-1] < 100.0
    assert len(times) == pytest.approx(5000, rel=0.05)


def test_their_gaps_spread_as_wide_as_they_are_long() -> None:
    times = arrival_times(rate=50.0, seconds=100.0, random=Random(1))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)

    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)

    assert variance**0.5 == pytest.approx(mean, rel=0.1)


def test_the_same_seed_brings_the_same_users() -> None:
    first, second = (arrival_times(5.0, 9.0, Random(3)) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("200", "ok"),
        ("429", "refusal"),
        ("503", "refusal"),
        ("504", "late"),
        (GAVE_UP, "late"),
        ("500", "error"),
        ("422", "error"),
        (BROKEN, "error"),
    ],
)
def test_a_reply_is_of_one_kind(outcome: str, kind: str) -> None:
    reply = Reply(wanted_at=1.0, sent_at=1.5, ended_at=3.0, outcome=outcome)

    assert reply.seconds == 2.0
    assert reply.is_ok == (kind == "ok")
    assert reply.is_refusal == (kind == "refusal")
    assert reply.is_error == (kind == "error")


def outcomes_of(answers_per_connection: int, *, hangs: bool = False) -> tuple[list[str], int]:
    """What one user got in three turns, and the connections that were opened.

    The server hangs up, without a word, on who asks once more than so many times; or, if it hangs,
    says nothing more until the user does.
    """
    connections: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers_per_connection):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert "x-request-timeout: 1.5\r\n" in head
            length = int(head.split("content-length: ")[1].split()[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        if hangs:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.create_task(serve(reader, writer)))

    async def ask() -> list[str]:
        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ask = partial(ask_native, good_seconds=1.5)
        users = Users(
            url, SENTENCES, ask, patience_seconds=0.2 if hangs else 5.0, max_connections=1
        )
        async with server:
            replies = await users.come_by_chance([0.0, 0.01, 0.02])
            await asyncio.gather(*connections)
        return [reply.outcome for reply in replies]

    return asyncio.run(ask()), len(connections)


def test_a_connection_is_kept_and_replaced_when_the_server_has_closed_it() -> None:
    assert outcomes_of(answers_per_connection=3) == (["200"] * 3, 1)
    assert outcomes_of(answers_per_connection=1) == (["200"] * 3, 3)


def test_a_server_that_answers_nobody_is_broken() -> None:
    outcomes, _ = outcomes_of(answers_per_connection=0)

    assert outcomes == [BROKEN] * 3


def test_who_has_waited_in_vain_does_not_ask_again() -> None:
    outcomes, num_connections = outcomes_of(answers_per_connection=1, hangs=True)

    assert outcomes == ["200", GAVE_UP, "200"]
    assert num_connections == 2
