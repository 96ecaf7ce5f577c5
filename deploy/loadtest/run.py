"""The loads of a plan, one after the other: users who wait find capacity, others come by chance."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from random import Random

from deploy.bench.sentences import Sentence
from deploy.loadtest.plan import Plan
from deploy.loadtest.scrape import Watch, scrape
from deploy.loadtest.stage import Stage
from deploy.loadtest.users import SEED, Reply, Users, arrival_times, ask_native

WARM_UP_SECONDS = 2.0
IDLE_SECONDS = 15.0  # at most, for what is left of a load before the next one


async def run(plan: Plan, url: str, texts: Sequence[Sentence]) -> tuple[list[Stage], float]:
    """All stages in order, and capacity in requests a second; a line is printed of each.

    Raises:
        RuntimeError: if users who wait got no translation, so that there is no capacity.
    """
    runner = _Runner(plan, url, texts)
    await runner.users().wait_in_turns(2, min(WARM_UP_SECONDS, plan.closed_seconds))
    stages = []
    capacity = plan.capacity
    if capacity is None:
        stages = [await runner.closed(number) for number in plan.users]
        capacity = max(stage.answered for stage in stages)
        if not capacity:
            raise RuntimeError(f"{url} translated nothing: {dict(stages[-1].unanswered)}")
    for share in plan.shares:
        stages.append(await runner.open(share, capacity))
    return stages, capacity


class _Runner:
    """Puts the loads of a plan on one service."""

    def __init__(self, plan: Plan, url: str, texts: Sequence[Sentence]) -> None:
        self._plan, self._url, self._texts = plan, url, texts

    def users(self) -> Users:
        """Nobody has come yet."""
        return Users(
            self._url,
            self._texts,
            partial(ask_native, good_seconds=self._plan.good_seconds),
            patience_seconds=self._plan.patience_seconds,
            max_connections=self._plan.max_connections,
        )

    async def closed(self, number: int) -> Stage:
        """Users who wait."""
        seconds = self._plan.closed_seconds
        work = self.users().wait_in_turns(number, seconds)
        return await self._stage(f"{number} user{'s' if number > 1 else ''}", None, seconds, work)

    async def open(self, share: float, capacity: float) -> Stage:
        """Users who come by chance."""
        seconds = self._plan.seconds
        arrivals = arrival_times(share * capacity, seconds, Random(SEED))
        work = self.users().come_by_chance(arrivals)
        return await self._stage(f"{share:g} x capacity", share, seconds, work)

    async def _stage(
        self, label: str, share: float | None, seconds: float, work: Awaitable[Sequence[Reply]]
    ) -> Stage:
        watch = Watch(self._url)
        await watch.start()
        replies = await work
        stage = Stage(
            label=label,
            share=share,
            seconds=seconds,
            good_seconds=self._plan.good_seconds,
            replies=replies,
            server=await watch.stop(),
        )
        print(
            f"{label}: offered {stage.offered:.1f}/s, answered {stage.answered:.1f}/s, "
            f"in time {stage.goodput:.1f}/s",
            flush=True,
        )
        await self._wait_until_idle()
        return stage

    async def _wait_until_idle(self) -> None:
        """Let the server drop what nobody waits for any more; at once if it shows no metrics."""
        give_up = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < give_up:
            series = await scrape(self._url) or {}
            if not series.get("dragoman_rows_running") and not series.get("dragoman_queue_depth"):
                return
            await asyncio.sleep(0.2)
