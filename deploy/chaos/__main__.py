"""`python -m deploy.chaos`: break the service in every way, and print what it promises."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.chaos.damage import DAMAGE
from deploy.chaos.descriptors import DESCRIPTORS
from deploy.chaos.ends import KILL, TERMINATE
from deploy.chaos.promise import Outcome, Result, Scenario, exit_code, judge, table
from deploy.chaos.rolling import ROLL
from deploy.chaos.server import ROOT, NotStarted
from deploy.chaos.slow_clients import SLOW
from deploy.chaos.storm import STORM

BUNDLE = ROOT / "service" / "bundles" / "default"
SCENARIO_SECONDS = 150.0
SCENARIOS = (STORM, KILL, TERMINATE, ROLL, SLOW, DESCRIPTORS, DAMAGE)


def run_all(scenarios: Sequence[Scenario], bundle: Path) -> list[Result]:
    """Run them one after the other."""
    return [(scenario, asyncio.run(_run(scenario, bundle))) for scenario in scenarios]


async def _run(scenario: Scenario, bundle: Path) -> Outcome:
    """A service that does not start, hangs or loses a connection has broken its promise."""
    try:
        async with asyncio.timeout(SCENARIO_SECONDS):
            return await scenario.run(bundle)
    except (NotStarted, OSError, EOFError) as error:  # TimeoutError is an OSError
        return judge(False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    done = run_all(SCENARIOS, BUNDLE)
    print(table(done))
    sys.exit(exit_code(done))
