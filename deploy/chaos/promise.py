"""A promise of the service, what became of it, and the table of all."""

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class Verdict(enum.Enum):
    """What became of a promise; the value is what the table says."""

    KEPT = "kept"
    BROKEN = "**broken**"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A verdict and what it rests on.

    Attributes:
        figures: what was measured; why it was not run, if it was not.
    """

    verdict: Verdict
    figures: str


def judge(is_kept: bool, figures: str) -> Outcome:
    """Say of a promise that was put to the test whether it was kept."""
    return Outcome(verdict=Verdict.KEPT if is_kept else Verdict.BROKEN, figures=figures)


def not_run(reason: str) -> Outcome:
    """Say why a promise could not be put to the test."""
    return Outcome(verdict=Verdict.NOT_RUN, figures=reason)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way to break the service.

    Attributes:
        promise: what holds nevertheless, in one sentence.
        run: takes the folder of a bundle, starts the service on it, and breaks something.
    """

    name: str
    promise: str
    run: Callable[[Path], Awaitable[Outcome]]


Result = tuple[Scenario, Outcome]


def table(results: Sequence[Result]) -> str:
    """All promises as a table in Markdown."""
    rows = [
        f"| {scenario.name} | {scenario.promise} | {outcome.verdict.value} | {outcome.figures} |"
        for scenario, outcome in results
    ]
    return "\n".join(["| what breaks | promise | verdict | measured |", "| --- " * 4 + "|", *rows])


def exit_code(results: Sequence[Result]) -> int:
    """1 if a promise was broken; one that was not put to the test is not."""
    return int(any(outcome.verdict is Verdict.BROKEN for _, outcome in results))
