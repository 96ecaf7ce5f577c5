"""Show what the checks found: to a reader, and as data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from model.checks import CHECKS, Outcome, Rates, tally

SHOWN_CHARACTERS = 160

# direction, such as "en-de" -> what became of its cases
Outcomes = Mapping[str, Sequence[Outcome]]


def print_outcomes(outcomes: Outcomes, console: Console) -> None:
    """Every failing case with its reasons, and last, where the eye falls, the summary table."""
    for direction, found in outcomes.items():
        for outcome in found:
            if outcome.problems:
                _print_failing(direction, outcome, console)
    console.print(_summary(outcomes))
    num_skipped = sum(outcome.translation is None for rows in outcomes.values() for outcome in rows)
    if num_skipped:
        _say(console, f"{num_skipped} very long cases skipped: a checkpoint takes one sentence.")


def _print_failing(direction: str, outcome: Outcome, console: Console) -> None:
    checks_of: dict[str, list[str]] = {}  # several checks may find the same thing wrong
    for check, why in outcome.problems:
        checks_of.setdefault(why, []).append(check)
    whys_of: dict[str, list[str]] = {}
    for why, checks in checks_of.items():
        whys_of.setdefault(", ".join(checks), []).append(why)
    _say(console, f"{direction}  {_shorten(outcome.case.text)}")
    _say(console, f"    -> {_shorten(outcome.translation or '')}")
    for names, whys in whys_of.items():
        _say(console, f"    {names}: {'; '.join(whys)}")


def _summary(outcomes: Outcomes) -> Table:
    table = Table("check", "what must hold", box=box.SIMPLE)
    for direction in outcomes:
        table.add_column(direction, justify="right", no_wrap=True)
    for name, check in CHECKS.items():
        counts = [tally(name, found) for found in outcomes.values()]
        cells = (f"{count.passed}/{count.total}" for count in counts)
        table.add_row(name, check.meaning, *cells)
    table.add_section()
    table.add_row("cases", "nothing at all is wrong", *map(_clean_share, outcomes.values()))
    return table


def _clean_share(outcomes: Sequence[Outcome]) -> str:
    done = [outcome for outcome in outcomes if outcome.translation is not None]
    return f"{sum(not outcome.problems for outcome in done)}/{len(done)}"


def print_rates(rates: Rates, console: Console) -> None:
    """One line about the translations of a whole test set."""
    _say(
        console,
        f"looping {rates.looping:.2%}  copied {rates.copied:.2%}  empty {rates.empty:.2%}  "
        f"length {rates.length_ratio:.3f} of the references'",
    )


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)


def _shorten(text: str) -> str:
    """One line; a text that is blank or has blank ends is quoted, for else they are not seen."""
    if len(text) > SHOWN_CHARACTERS:
        return f"{text[:SHOWN_CHARACTERS].rstrip()} ... ({len(text):,} characters)"
    return text if text and text == text.strip() else repr(text)


def as_data(outcomes: Outcomes) -> dict[str, Any]:
    """Direction -> check -> counts and failing cases, as plain data."""
    return {
        direction: {
            name: asdict(tally(name, found))
            | {
                "failing": [
                    {
                        "source": outcome.case.text,
                        "translation": outcome.translation,
                        "why": [why for check, why in outcome.problems if check == name],
                    }
                    for outcome in found
                    if any(check == name for check, _ in outcome.problems)
                ]
            }
            for name in CHECKS
        }
        for direction, found in outcomes.items()
    }
