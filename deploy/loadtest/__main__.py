"""`python -m deploy.loadtest`: find capacity, load up to it and past, say what was kept."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from deploy.bench import environment
from deploy.bench.sentences import load_sentences
from deploy.loadtest.curve import draw
from deploy.loadtest.http_client import Connection
from deploy.loadtest.local_server import running
from deploy.loadtest.plan import Plan, parse
from deploy.loadtest.run import run
from deploy.loadtest.stage import Stage
from deploy.loadtest.table import markdown
from deploy.loadtest.texts import mixed_texts
from deploy.loadtest.users import SEED

ROOT = Path(__file__).parents[2]
NUM_TEXTS = 1_000
READY_PATH = "/readyz"


def main(argv: Sequence[str]) -> int:
    """Run a plan; 1 if a threshold is missed, 2 if there is no service to run it on."""
    plan = parse(argv)
    plan.output.mkdir(parents=True, exist_ok=True)
    texts = mixed_texts(load_sentences(plan.sentences), NUM_TEXTS, Random(SEED))
    try:
        with _service(plan) as url:
            stages, capacity = asyncio.run(run(plan, url, texts))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    missed = plan.thresholds.missed(stages)
    _write(plan, stages, capacity, missed)
    for complaint in missed:
        print(f"missed: {complaint}")
    return 1 if missed else 0


@contextmanager
def _service(plan: Plan) -> Iterator[str]:
    """The service of the plan, or one on the bundled model with its own settings.

    Raises:
        OSError: if nobody listens at the URL.
    """
    if plan.url is not None:
        asyncio.run(_knock(plan.url))
        yield plan.url
        return
    command = [sys.executable, "-m", "dragoman", "serve"]
    environment = {"PYTHONPATH": str(ROOT), "DRAGOMAN_LOG_LEVEL": "warning"}
    with running(command, environment, plan.output / "server.log", READY_PATH) as (url, _):
        yield url


async def _knock(url: str) -> None:
    async with Connection(url):
        pass


def _write(plan: Plan, stages: Sequence[Stage], capacity: float, missed: Sequence[str]) -> None:
    """Print the table; leave JSON and, where there was an open loop, the curve."""
    facts = environment.describe()
    print(f"\n{facts['cpu']}, {facts['num_cpus']} CPUs; capacity {capacity:.1f} requests/s")
    print(markdown(stages))
    results: dict[str, Any] = {
        "plan": asdict(plan),
        "environment": facts,
        "capacity_per_second": capacity,
        "stages": [stage.to_dict() for stage in stages],
        "missed": list(missed),
    }
    path = plan.output / "results.json"
    path.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")
    curve = draw("Latency and throughput over offered load", stages, capacity)
    (plan.output / "curve.svg").write_text(curve, encoding="utf-8")
    print(f"wrote {path} and {plan.output / 'curve.svg'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
