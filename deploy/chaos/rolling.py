"""Replicas behind nginx that are restarted one after the other."""

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from deploy.chaos.nginx import balancing, find_nginx
from deploy.chaos.promise import Outcome, Scenario, Verdict, judge
from deploy.chaos.server import STOP_SECONDS, free_port, serving
from deploy.chaos.storm import SENTENCE
from deploy.loadtest.http_client import Connection

NUM_REPLICAS = 3
NUM_CLIENTS = 4


async def _roll(bundle: Path) -> Outcome:
    nginx = find_nginx()
    if nginx is None:
        reason = "nginx is neither on the PATH nor in build/ (`make nginx`)"
        return Outcome(verdict=Verdict.NOT_RUN, figures=reason)
    ports, done = [free_port() for _ in range(NUM_REPLICAS)], asyncio.Event()
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(bundle, port=port)) for port in ports]
        url = await stack.enter_async_context(balancing(nginx, ports))
        users = [asyncio.create_task(_user(url, done)) for _ in range(NUM_CLIENTS)]
        codes = []
        for server, port in zip(servers, ports, strict=True):
            server.process.send_signal(signal.SIGTERM)
            codes.append(await server.ended(STOP_SECONDS))
            await stack.enter_async_context(serving(bundle, port=port))
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
    promise="No request fails behind nginx, though nobody tells it before.",
    run=_roll,
)
