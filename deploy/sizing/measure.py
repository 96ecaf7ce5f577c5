"""Measure what a step of one worker costs here: `python -m deploy.sizing.measure > FILE`.

Processor time of the worker's thread, which neighbours on the machine lengthen less than the
clock's. It holds everything a worker does: both graphs, the search, and giving answers back.
"""

import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

from service.bundle import Bundle, load_bundle
from service.engine.job import Job
from service.engine.loop import Engine
from service.engine.options import DecodingOptions
from service.engine.report import StepReport
from service.engine.runner import Runner
from service.machine import read_machine
from service.settings import load_settings

BEAM_SIZE = 4
SENTENCES_TOGETHER = (1, 2, 4, 8)
REPEATS = 30


class Costs:
    """Processor time of each step, by what was done in it."""

    def __init__(self) -> None:
        self.decode: dict[int, list[float]] = defaultdict(list)  # rows -> seconds of a step
        self.encode: list[tuple[int, int, float]] = []  # source tokens, rows, seconds
        self._before = 0.0

    def record(self, report: StepReport) -> None:
        """Called on the worker's thread after every step."""
        now = time.thread_time()
        seconds, self._before = now - self._before, now
        if report.source_tokens:
            self.encode.append((report.source_tokens, report.rows, seconds))
        elif report.rows:
            self.decode[report.rows].append(seconds)

    def summary(self) -> dict[str, Any]:
        """Medians: seconds of a step by its rows, and seconds to encode a token beside it."""
        steps = {rows: statistics.median(all_) for rows, all_ in sorted(self.decode.items())}
        extra = [
            max(0.0, seconds - steps[rows]) / tokens
            for tokens, rows, seconds in self.encode
            if rows in steps
        ]
        return {
            "step_seconds": {str(rows): seconds for rows, seconds in steps.items()},
            "encode_seconds_per_token": statistics.median(extra),
        }


def measure(bundle: Bundle, precision: str) -> dict[str, Any]:
    """Translate the golden sentences of the bundle, few and many at once, on one worker."""
    costs = Costs()
    limits = load_settings(threads=1).engine_limits(bundle.manifest.decoding.max_source_tokens)
    engine = Engine(Runner.load(bundle, precision), limits, on_step=costs.record)
    engine.start()
    options = DecodingOptions(beam_size=BEAM_SIZE, max_target_tokens=64)
    lengths = []
    for together in SENTENCES_TOGETHER:
        for first in range(REPEATS):
            examples = [bundle.golden[(first + n) % len(bundle.golden)] for n in range(together)]
            jobs = [Job(source_ids=example.source_ids, options=options) for example in examples]
            for job in jobs:
                engine.submit(job)
            lengths += [job.future.result().num_steps for job in jobs]
    engine.drain(10.0)
    return {
        "beam_size": BEAM_SIZE,
        "source_tokens": statistics.mean(len(example.source_ids) for example in bundle.golden),
        "num_steps": statistics.mean(lengths),
        "characters": statistics.mean(len(example.text) for example in bundle.golden),
        **costs.summary(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> int:
    """Print the measurement as JSON."""
    settings = load_settings()
    bundle = load_bundle(settings.bundle)
    precision = "int8" if "int8" in bundle.manifest.graphs else "float32"
    report = {
        "command": "python -m deploy.sizing.measure",
        "processor": _processor(),
        "instruction_sets": list(read_machine().instruction_sets),
        "python": platform.python_version(),
        "onnxruntime": metadata.version("onnxruntime"),
        "model": f"{bundle.manifest.name} {bundle.manifest.version}",
        "precision": precision,
        **measure(bundle, precision),
    }
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
