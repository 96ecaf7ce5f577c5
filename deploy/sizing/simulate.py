"""How many replicas does a load need? A simulation from measured step times, in plain Python.

    python -m deploy.sizing.simulate deploy/sizing/measured.json --rate 50 --replicas 1 2 4 8

Sentences arrive at random (Poisson) and are spread at random over the replicas, and there over
their workers. A worker does what the engine does: between two steps it lets in who fits, encodes
them, then decodes one token for every row. A full queue refuses.

Left out: HTTP and text handling outside the worker, the memory limit of long sentences, fairness
between clients, and neighbours on the machine. So real replicas do a little worse.
"""

import argparse
import json
import math
import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

ENCODE_TOKENS = 256
"""Source tokens that the engine encodes between two steps, see service/engine/limits.py."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, for sentences of mean length.

    Attributes:
        step_seconds: (rows, seconds) of one step, by growing rows; between them it is linear.
        encode_seconds_per_token: of a source token.
        beam_size: rows of a sentence.
        source_tokens, num_steps, characters: of a sentence, means; steps are those of its beam.
    """

    step_seconds: tuple[tuple[int, float], ...]
    encode_seconds_per_token: float
    beam_size: int
    source_tokens: float
    num_steps: float
    characters: float

    def step(self, rows: int) -> float:
        """Seconds of a step of so many rows; beyond what was measured, as the last piece."""
        points = ((0, 0.0), *self.step_seconds)
        index = next((i for i, (r, _) in enumerate(points) if r >= rows), len(points) - 1)
        (low, low_seconds), (high, high_seconds) = points[max(1, index) - 1], points[max(1, index)]
        if index == 1:
            return high_seconds  # fewer rows than any that were measured cost as much as those
        slope = (high_seconds - low_seconds) / (high - low)
        return low_seconds + slope * (rows - low)

    def worker_capacity(self, slots: int) -> float:
        """Sentences that one worker finishes in a second when its slots are always full."""
        sentences = slots // self.beam_size
        encoding = self.source_tokens * self.encode_seconds_per_token
        decoding = self.num_steps * self.step(sentences * self.beam_size) / sentences
        return 1.0 / (encoding + decoding)


def read_costs(path: Path) -> Costs:
    """Read what `deploy.sizing.measure` has written."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    steps = sorted((int(rows), float(cost)) for rows, cost in facts["step_seconds"].items())
    names = ("encode_seconds_per_token", "beam_size", "source_tokens", "num_steps")
    return Costs(
        step_seconds=tuple(steps),
        characters=facts["characters"],
        **{name: facts[name] for name in names},
    )


@dataclass
class Outcome:
    """What happened to all sentences that arrived."""

    arrived: int = 0
    refused: int = 0
    late: int = 0
    latencies: list[float] = field(default_factory=list)
    busy_seconds: float = 0.0
    worker_seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the answered sentences had their answer."""
        ordered = sorted(self.latencies)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, kw_only=True)
class Load:
    """Sentences in a second for one worker, for how long, and what the worker may hold."""

    rate: float
    seconds: float
    slots: int = 32
    queue_tokens: int = 32_768
    timeout_seconds: float = 30.0


def run_worker(costs: Costs, load: Load, generator: random.Random, outcome: Outcome) -> None:
    """Add to `outcome` what one worker does with its arrivals, until the last has ended."""
    arrivals = _arrivals(load, generator)
    most_waiting = max(1, int(load.queue_tokens / costs.source_tokens))
    most_running = load.slots // costs.beam_size
    most_encoded = max(1, int(ENCODE_TOKENS / costs.source_tokens))
    waiting: deque[float] = deque()
    running: list[tuple[int, float]] = []  # heap of (step that ends it, arrival)
    now, steps, upcoming = 0.0, 0, 0
    while upcoming < len(arrivals) or waiting or running:
        if not waiting and not running:
            now = max(now, arrivals[upcoming])
        while upcoming < len(arrivals) and arrivals[upcoming] <= now:
            outcome.arrived += 1
            if len(waiting) < most_waiting:
                waiting.append(arrivals[upcoming])
            else:
                outcome.refused += 1
            upcoming += 1
        while waiting and now - waiting[0] > load.timeout_seconds:
            waiting.popleft()  # nobody waits for it any more: no work is done
            outcome.late += 1
        admitted = min(len(waiting), most_running - len(running), most_encoded)
        for _ in range(admitted):
            length = max(1, round(generator.gauss(1.0, 0.4) * costs.num_steps))
            heappush(running, (steps + length, waiting.popleft()))
        if not running:
            continue
        steps += 1
        cost = costs.step(len(running) * costs.beam_size)
        cost += admitted * costs.source_tokens * costs.encode_seconds_per_token
        now += cost
        outcome.busy_seconds += cost
        while running and running[0][0] <= steps:
            _finish(now - heappop(running)[1], load.timeout_seconds, outcome)
    outcome.worker_seconds += max(now, load.seconds)


def _finish(latency: float, timeout_seconds: float, outcome: Outcome) -> None:
    if latency > timeout_seconds:
        outcome.late += 1
    else:
        outcome.latencies.append(latency)


def _arrivals(load: Load, generator: random.Random) -> list[float]:
    moments, moment = [], generator.expovariate(load.rate)
    while moment < load.seconds:
        moments.append(moment)
        moment += generator.expovariate(load.rate)
    return moments


def simulate(
    costs: Costs, *, rate: float, replicas: int, workers: int, seconds: float, seed: int = 1
) -> Outcome:
    """Spread `rate` sentences a second over all workers; random splitting keeps them Poisson."""
    outcome = Outcome()
    load = Load(
        rate=rate / (replicas * workers),
        seconds=seconds,
        queue_tokens=Load.queue_tokens // workers,  # the workers of a replica share one queue
    )
    for number in range(replicas * workers):
        run_worker(costs, load, random.Random(f"{seed} {number}"), outcome)
    return outcome


def cost_per_million_characters(outcome: Outcome, costs: Costs, cpu_hour_price: float) -> float:
    """What the answered characters cost, idle time of the workers included; one CPU a worker."""
    characters = len(outcome.latencies) * costs.characters
    hours = outcome.worker_seconds / 3_600
    return hours * cpu_hour_price / characters * 1e6 if characters else math.inf


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each number of replicas."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sizing.simulate")
    parser.add_argument("measured", type=Path, help="JSON by deploy.sizing.measure")
    parser.add_argument("--rate", type=float, required=True, help="sentences a second, in all")
    parser.add_argument("--replicas", type=int, nargs="+", required=True, help="from 1 to 1000")
    parser.add_argument("--workers", type=int, default=2, help="threads of a replica [2]")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long sentences come [60]")
    parser.add_argument("--cpu-hour-price", type=float, default=0.04, help="of one CPU [0.04]")
    arguments = parser.parse_args(argv)
    costs = read_costs(arguments.measured)
    print(
        "| replicas | capacity/s | busy | p50 s | p95 s | p99 s | refused | late | per 1M chars |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for replicas in arguments.replicas:
        print(_line(costs, replicas, arguments), flush=True)
    return 0


def _line(costs: Costs, replicas: int, arguments: Any) -> str:
    workers = arguments.workers
    outcome = simulate(
        costs,
        rate=arguments.rate,
        replicas=replicas,
        workers=workers,
        seconds=arguments.seconds,
    )
    cells = [
        str(replicas),
        f"{replicas * workers * costs.worker_capacity(Load.slots):.0f}",
        f"{outcome.busy_seconds / outcome.worker_seconds:.0%}",
        *(f"{outcome.percentile(share):.2f}" for share in (0.5, 0.95, 0.99)),
        f"{outcome.refused / max(1, outcome.arrived):.1%}",
        f"{outcome.late / max(1, outcome.arrived):.1%}",
        f"{cost_per_million_characters(outcome, costs, arguments.cpu_hour_price):.4f}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
