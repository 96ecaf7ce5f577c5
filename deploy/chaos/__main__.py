"""`python -m deploy.chaos`: break the service in every way, and print what it promises."""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.chaos.clock import CLOCK
from deploy.chaos.damage import DAMAGE
from deploy.chaos.descriptors import DESCRIPTORS
from deploy.chaos.disk import FULL_DISK, READ_ONLY_ROOT
from deploy.chaos.ends import KILL, TERMINATE
from deploy.chaos.memory import OUT_OF_MEMORY, SMALL_START
from deploy.chaos.network import NO_NETWORK
from deploy.chaos.overload import OVERLOAD
from deploy.chaos.promise import Outcome, Result, Scenario, exit_code, judge, table
from deploy.chaos.rolling import ROLL
from deploy.chaos.server import ROOT, NotStarted
from deploy.chaos.slow_clients import SLOW
from deploy.chaos.soak import soak
from deploy.chaos.storm import STORM
from deploy.chaos.swap import REFUSED_SWAP, SWAP

BUNDLE = ROOT / "service" / "bundles" / "default"
SCENARIO_SECONDS = 150.0  # beside those that a soak lasts
SOAK_SECONDS = 30.0
SCENARIOS = (
    *(OVERLOAD, STORM, SLOW, KILL, TERMINATE, ROLL, SWAP, REFUSED_SWAP, DAMAGE),
    *(NO_NETWORK, FULL_DISK, READ_ONLY_ROOT, DESCRIPTORS, SMALL_START, OUT_OF_MEMORY, CLOCK),
)


def main(argv: Sequence[str]) -> int:
    """Run scenarios, and print the table; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.chaos", description="Break the service, and see what it keeps."
    )
    parser.add_argument("--only", default="", metavar="WORDS", help="only names with these")
    parser.add_argument(
        "--soak-seconds", type=float, default=SOAK_SECONDS, help=f"of load ({SOAK_SECONDS:.0f})"
    )
    options = parser.parse_args(argv)
    every = (*SCENARIOS, soak(options.soak_seconds))
    done = run_all(
        [scenario for scenario in every if options.only in scenario.name],
        BUNDLE,
        SCENARIO_SECONDS + options.soak_seconds,
    )
    print(table(done))
    return exit_code(done)


def run_all(
    scenarios: Sequence[Scenario], bundle: Path, seconds: float = SCENARIO_SECONDS
) -> list[Result]:
    """Run them one after the other, each for so long at most."""
    return [(scenario, asyncio.run(_run(scenario, bundle, seconds))) for scenario in scenarios]


async def _run(scenario: Scenario, bundle: Path, seconds: float) -> Outcome:
    """A service that does not start, hangs or loses a connection has broken its promise."""
    try:
        async with asyncio.timeout(seconds):
            return await scenario.run(bundle)
    except (NotStarted, OSError, EOFError, RuntimeError, subprocess.TimeoutExpired) as error:
        return judge(False, f"{type(error).__name__}: {error}")  # TimeoutError is an OSError


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
