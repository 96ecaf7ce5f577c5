"""`python -m deploy.bench`: measure, print, and write JSON and an SVG chart."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.bench import environment
from deploy.bench.agreement import Disagreement
from deploy.bench.chart import Bar, draw
from deploy.bench.factors import run_factors
from deploy.bench.machine import measure_machine
from deploy.bench.offline import bars as offline_bars
from deploy.bench.offline import run_offline
from deploy.bench.operators import run_operators
from deploy.bench.plan import Plan, parse
from deploy.bench.sentences import load_sentences, spread
from deploy.bench.service import bars as service_bars
from deploy.bench.service import run_service
from deploy.bench.subjects import prepare


def main(argv: Sequence[str]) -> int:
    """Run the parts of a plan; exit code 1 if peers disagree."""
    plan, console = parse(argv), Console(highlight=False, width=160)
    console.print(f"models in every peer's form, and results: {plan.output}")
    try:
        _run(plan, console)
    except Disagreement as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(plan: Plan, console: Console) -> None:
    """The machine's limits, then every part that is asked for."""
    plan.output.mkdir(parents=True, exist_ok=True)
    machine = measure_machine()
    console.print(f"one thread of this machine: {machine}")
    results: dict[str, Any] = {
        "plan": _plain(asdict(plan)),
        "environment": environment.describe(),
        "machine": asdict(machine),
    }
    sentences = load_sentences(plan.sentences)
    models = {
        name: prepare(name, plan.output, sentences)
        for name in (plan.subjects if set(plan.parts) != {"machine"} else ())
    }
    chosen = spread(sentences, plan.num_sentences)
    if "operators" in plan.parts:
        results["operators"] = run_operators(plan, models, machine, console)
    if "factors" in plan.parts:
        results["factors"] = run_factors(plan, models, chosen, console)
    if "offline" in plan.parts:
        rows = run_offline(plan, models, chosen, console)
        results["offline"] = [row.to_dict() for row in rows]
        _write_chart(plan, "offline", offline_bars(rows))
    if "service" in plan.parts:
        served = run_service(plan, models, chosen, console)
        results["service"] = [row.to_dict() for row in served]
        _write_chart(plan, "service", service_bars(served))
    path = plan.output / "results.json"
    path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    console.print(f"\nwrote {path}")


def _write_chart(plan: Plan, part: str, bars: Sequence[Bar]) -> None:
    if bars:  # ours alone has nothing to be compared with
        chart = draw(f"Dragoman against others, {part}: times as fast", bars)
        (plan.output / f"{part}.svg").write_text(chart, encoding="utf-8")


def _plain(value: Any) -> Any:
    """The same with paths as text, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _with_wanted_environment() -> None:
    """Start anew unless allocator and threads are set: they are read when a process starts."""
    if any(name not in os.environ for name in environment.WANTED):
        command = [sys.executable, "-m", "deploy.bench", *sys.argv[1:]]
        os.execve(sys.executable, command, {**environment.WANTED, **os.environ})


if __name__ == "__main__":
    _with_wanted_environment()
    sys.exit(main(sys.argv[1:]))
