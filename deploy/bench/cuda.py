"""`python -m deploy.bench.cuda`: the engine on a GPU, beside PyTorch on the same one.

Models are made here: the graphs of a checkpoint, in float16. Three parts, each of which may fail
for itself: which provider runs which node; whether a sentence is translated to the same bytes alone
and in company, and to the same tokens as on the CPU in float32; and speed. `--device cpu` runs all
of it without a GPU, to see that it works.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch  # first: it brings the libraries of CUDA

from deploy.bench import environment
from deploy.bench.cuda_equality import measure_equality
from deploy.bench.cuda_placement import measure_placement
from deploy.bench.cuda_speed import make_cases, measure_speed
from deploy.bench.cuda_subject import Subject, make_subject
from service.engine.device import cuda_obstacle, runtime_facts

Part = Callable[[Subject], Any]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench.cuda", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSON to write")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=85.0, help="what it may take in all")
    parser.add_argument("--subjects", nargs="+", default=["default", "B"], metavar="MODEL")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 16, 64, 256, 1024])
    parser.add_argument("--beam-sizes", nargs="*", type=int, default=[1, 16], help="with beam 4")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run the parts for each model; the exit code counts those that failed."""
    arguments = parse(argv)
    deadline = time.monotonic() + arguments.seconds
    results: dict[str, Any] = {
        "environment": environment.describe(),
        "gpu": _gpu(),
        "onnxruntime": runtime_facts()[0],
        "obstacle": cuda_obstacle(),
    }
    failed = 0
    with TemporaryDirectory() as folder:
        for name in arguments.subjects:
            found: dict[str, Any] = {}
            results[name] = found
            try:
                subject = make_subject(name, arguments.device, Path(folder))
            except Exception:  # noqa: BLE001 - the next model may work
                traceback.print_exc()
                failed += 1
                continue
            for part, measure in _parts(name, arguments, deadline).items():
                failed += not _guarded(found, part, measure, subject, deadline)
                arguments.output.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print({name: results[name] for name in ("gpu", "onnxruntime", "obstacle")})
    for name in arguments.subjects:
        _print_table(name, results[name])
    return failed


def _parts(name: str, arguments: argparse.Namespace, deadline: float) -> dict[str, Part]:
    """What is measured; random weights prefer no token clearly, so they say nothing of equality."""
    return {
        "placement": measure_placement,
        **({"equality": measure_equality} if name == "default" else {}),
        "speed": lambda subject: measure_speed(
            subject, make_cases(arguments.sizes, arguments.beam_sizes), deadline
        ),
    }


def _guarded(
    found: dict[str, Any], part: str, measure: Part, subject: Subject, deadline: float
) -> bool:
    """Whether a part was measured."""
    if time.monotonic() > deadline:
        found[part] = "no time left"
        return False
    started = time.monotonic()
    try:
        found[part] = measure(subject)
    except Exception as error:  # noqa: BLE001 - the other parts go on
        traceback.print_exc()
        found[part] = f"failed: {error}"
        return False
    print(f"{subject.name} {part}: {time.monotonic() - started:.1f} s", flush=True)
    return True


def _gpu() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _print_table(name: str, found: dict[str, Any]) -> None:
    print(f"== {name}")
    for part in ("placement", "equality"):
        values = found.get(part, "not measured")
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            print(f"{part} {key}: {value}")
    rows = found.get("speed", "not measured")
    for row in rows if isinstance(rows, list) else []:
        print(" ".join(f"{key}={value}" for key, value in row.items()))
    if not isinstance(rows, list):
        print(f"speed: {rows}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
