"""What is to be run: a plan, and what the command line changes in it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from deploy.bench.sentences import BUNDLED
from deploy.loadtest.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run; `HELP` says what the other fields are.

    Attributes:
        url: of the service; None starts one.
        capacity: requests a second; None finds it by users who wait.
    """

    url: str | None = None
    users: tuple[int, ...] = (1, 4, 16, 64)
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0)
    capacity: float | None = None
    closed_seconds: float = 12.0
    seconds: float = 30.0
    patience_seconds: float = 10.0
    good_seconds: float = 2.5
    max_connections: int = 4096
    sentences: Path = BUNDLED
    output: Path = Path("build/loadtest")
    thresholds: Thresholds = field(default_factory=Thresholds)


HELP = {
    "url": "of a running service (one is started on loopback)",
    "users": "who wait for each answer, to find capacity",
    "shares": "of capacity, offered as Poisson arrivals",
    "capacity": "requests a second, if it need not be found",
    "closed_seconds": "of each number of users",
    "seconds": "of each share",
    "patience_seconds": "after which a user hangs up",
    "good_seconds": "within which an answer counts as goodput",
    "max_connections": "open at once",
    "sentences": 'file of "source TAB target TAB text" lines',
    "output": "folder of results.json and curve.svg",
    "quiet_p95_seconds": "most for a translation up to half of capacity, at p95",
    "refusal_p95_seconds": "most for a refusal, at p95",
    "goodput_share": "least goodput above capacity, of that at capacity",
    "max_errors": "most answers at one load that are neither translation, refusal nor deadline",
}


def parse(argv: Sequence[str]) -> Plan:
    """The plan of a command line; wrong options end the process with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.loadtest",
        description="Load a service up to saturation and past it; status 1 if a threshold is "
        "missed.",
    )
    plan = Plan()
    _add_options(parser, plan)
    _add_options(parser, plan.thresholds)
    given = vars(parser.parse_args(argv))
    names = {one.name for one in fields(Thresholds)}
    thresholds = Thresholds(**{name: given.pop(name) for name in names})
    return Plan(**given, thresholds=thresholds)


def _add_options(parser: argparse.ArgumentParser, defaults: Plan | Thresholds) -> None:
    """One for each field, named after it; tuples take several values."""
    for one in fields(defaults):
        default: Any = getattr(defaults, one.name)
        if isinstance(default, Thresholds):
            continue
        several = isinstance(default, tuple)
        how: dict[str, Any] = {"action": _Several, "nargs": "+"} if several else {}
        parser.add_argument(
            "--" + one.name.replace("_", "-"),
            default=default,
            help=f"{HELP[one.name]} ({_show(default)})",
            type=_reader(one.name, default[0] if several else default),
            **how,
        )


class _Several(argparse.Action):
    """Keep values as a tuple."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, tuple(values))


def _reader(name: str, example: object) -> Any:
    """What reads a value of this kind; numbers are above 0, bounds may be 0."""
    if isinstance(example, Path):
        return Path
    if name == "url":
        return str
    kind = int if isinstance(example, int) else float
    least_is_zero = name in {one.name for one in fields(Thresholds)}

    def read(text: str) -> float:
        value = kind(text)
        if not (value > 0 or (least_is_zero and value == 0)) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
        return value

    return read


def _show(default: object) -> str:
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
