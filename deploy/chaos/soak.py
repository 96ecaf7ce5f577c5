"""Load for long, and memory that must not grow; and a leak, to see that it would be noticed."""

import asyncio
import resource
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from deploy.bench.sentences import BUNDLED, load_sentences
from deploy.chaos.promise import Outcome, Scenario, judge
from deploy.chaos.server import serving
from deploy.loadtest.users import Users, ask_libretranslate

NUM_USERS = 8
# More users than later, so that slots, caches and pools are as large as they will ever be.
WARM_UP_USERS, WARM_UP_SECONDS = 64, 20.0
LEAK_SECONDS = 10.0
MAX_GROWTH_BYTES = 50_000  # a second; five times less than what reviewers of llama.cpp let pass
NUM_SPANS = 10  # a leak shows in most; a pool that gets larger once more, in one
PATIENCE_SECONDS = 10.0


async def _soak(seconds: float, bundle: Path) -> Outcome:
    growth, answered = await _growth(bundle, "dragoman", seconds)
    leaked, _ = await _growth(bundle, "deploy.chaos.leaking", LEAK_SECONDS)
    return judge(
        growth < MAX_GROWTH_BYTES < leaked,
        f"{growth / 1e3:+.0f} kB/s over {seconds:.0f} s ({answered} requests answered); "
        f"{leaked / 1e3:+.0f} kB/s with a leak (limit {MAX_GROWTH_BYTES / 1e3:.0f})",
    )


async def _growth(bundle: Path, module: str, seconds: float) -> tuple[float, int]:
    """Resident bytes that a service gains in a second of load, and how often it answered.

    The gain is the median of those in `NUM_SPANS` parts of the load.
    """
    async with serving(bundle, module=module) as server:
        await _load(server.url, WARM_UP_USERS, WARM_UP_SECONDS)
        load = asyncio.create_task(_load(server.url, NUM_USERS, seconds))
        sizes = [_resident_bytes(server.process.pid)]
        for _ in range(NUM_SPANS):
            await asyncio.sleep(seconds / NUM_SPANS)
            sizes.append(_resident_bytes(server.process.pid))
        grown = median(after - before for before, after in pairwise(sizes))
        return grown * NUM_SPANS / seconds, await load


async def _load(url: str, num_users: int, seconds: float) -> int:
    """Users who wait for each answer; the number of those they got."""
    users = Users(
        url,
        load_sentences(BUNDLED),
        ask_libretranslate,
        patience_seconds=PATIENCE_SECONDS,
        max_connections=num_users,
    )
    return sum(reply.is_ok for reply in await users.wait_in_turns(num_users, seconds))


def _resident_bytes(process_id: int) -> int:
    pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def soak(seconds: float) -> Scenario:
    """Load for so long."""
    return Scenario(
        name=f"load for {seconds:.0f} s",
        promise="Memory does not grow; a leak of 16 kB a request would be noticed.",
        run=partial(_soak, seconds),
    )
