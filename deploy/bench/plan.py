"""What is to be measured: two plans, and what the command line changes in them."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.bench.peers import MODULES, Precision, Setup
from deploy.bench.random_models import SHAPES
from deploy.bench.sentences import BUNDLED

SUBJECTS = ("default", *SHAPES)
PARTS = ("offline", "service", "operators", "factors", "machine")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a run does, in the order of the fields.

    Attributes:
        parts: what of the benchmark runs; subjects: models by name.
        laps: rounds in alternation; num_sentences: of the file, spread over it.
        clients: concurrent users of each server; seconds: of one round at a server.
        output: folder of JSON, SVG and the models in every form.
    """

    parts: tuple[str, ...] = PARTS
    subjects: tuple[str, ...] = SUBJECTS
    precisions: tuple[Precision, ...] = PRECISIONS
    workers: tuple[int, ...] = (1, 2)
    batches: tuple[int, ...] = (1, 8, 16, 32, 64)
    beams: tuple[int, ...] = (1, 4)
    peers: tuple[str, ...] = tuple(MODULES)
    laps: int = 7
    num_sentences: int = 204
    clients: tuple[int, ...] = (1, 4, 16, 64)
    seconds: float = 20.0
    sentences: Path = BUNDLED
    output: Path = Path("build/bench")

    def setups(self) -> Iterator[Setup]:
        """Every combination, the quickest dimension last."""
        for precision in self.precisions:
            for beam_size in self.beams:
                for num_workers in self.workers:
                    for batch_size in self.batches:
                        yield Setup(
                            precision=precision,
                            num_workers=num_workers,
                            batch_size=batch_size,
                            beam_size=beam_size,
                        )


FULL = Plan()
QUICK = Plan(
    subjects=("default",),
    precisions=("int8",),
    batches=(1, 16),
    beams=(1,),
    laps=3,
    num_sentences=51,
    clients=(1, 16),
    seconds=3.0,
)


def parse(argv: Sequence[str]) -> Plan:
    """The plan that a command line asks for; what it does not say stays as in the quick plan."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} [all]")
    parser.add_argument("--full", action="store_true", help="all models and setups: many hours")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS)
    parser.add_argument("--workers", nargs="+", type=int)
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--beams", nargs="+", type=int)
    parser.add_argument("--peers", nargs="+", choices=MODULES)
    parser.add_argument("--laps", type=int)
    parser.add_argument("--num-sentences", type=int)
    parser.add_argument("--clients", nargs="+", type=int)
    parser.add_argument("--seconds", type=float, help="of one round at one server")
    parser.add_argument("--sentences", type=Path, help="lines of source TAB target TAB text")
    parser.add_argument("--output", type=Path, help="folder of results and converted models")
    given: dict[str, Any] = vars(parser.parse_args(argv))
    if unknown := set(given["parts"]) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; it is one of {PARTS}")
    base = FULL if given.pop("full") else QUICK
    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value
    }
    return replace(base, **changes)
