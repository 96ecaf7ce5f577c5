"""Does a model behave? What `dragoman evaluate --checks` looks at, beside BLEU.

BLEU hardly moves when one number in fifty is wrong, or when one text in a thousand never ends. Each
check looks for one such fault in the translations of the cases that were written for it; some look
at all cases.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.check_cases import Case
from model.check_rules import (
    fitting_length,
    names_kept,
    no_loop,
    numbers_kept,
    repetitions,
    robust,
    same_emails,
    same_placeholders,
    same_urls,
)


class Check(NamedTuple):
    """One thing to look at: in the cases of its own category, or everywhere."""

    meaning: str
    rule: Callable[[Case, str], list[str]]
    everywhere: bool = False


CHECKS = {
    "numbers": Check("each number is there once, and no other", numbers_kept),
    "names": Check("people, places, products, emoji are kept", names_kept),
    "urls": Check("URLs are unchanged", same_urls),
    "emails": Check("e-mail addresses are unchanged", same_emails),
    "placeholders": Check("%s, {name}, <b>, ... are unchanged", same_placeholders),
    "unusual": Check("odd input makes no odd output", robust),
    "loops": Check("no phrase is repeated over and over", no_loop, everywhere=True),
    "length": Check("the length fits the source", fitting_length, everywhere=True),
}


class Problem(NamedTuple):
    """What one check found wrong."""

    check: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A case and what became of it.

    Attributes:
        translation: None if the case was skipped.
    """

    case: Case
    translation: str | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many of a check's cases passed; those that were skipped are not in the total."""

    passed: int
    total: int
    skipped: int


def judge(case: Case, translation: str | None) -> Outcome:
    """Hold a translation against every check that looks at the case."""
    problems = (
        ()
        if translation is None
        else tuple(
            Problem(name, why)
            for name in CHECKS
            if looks_at(name, case)
            for why in CHECKS[name].rule(case, translation)
        )
    )
    return Outcome(case=case, translation=translation, problems=problems)


def looks_at(check: str, case: Case) -> bool:
    """Say whether a check applies to a case."""
    return CHECKS[check].everywhere or case.category == check


def tally(check: str, outcomes: Sequence[Outcome]) -> Tally:
    """Count the cases of one check."""
    looked_at = [outcome for outcome in outcomes if looks_at(check, outcome.case)]
    done = [outcome for outcome in looked_at if outcome.translation is not None]
    failed = [one for one in done if any(problem.check == check for problem in one.problems)]
    return Tally(
        passed=len(done) - len(failed), total=len(done), skipped=len(looked_at) - len(done)
    )


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often the translations of a whole test set go wrong, whatever they say.

    Attributes:
        sentences: in the test set.
        looping, copied, empty: shares from 0 to 1: of those that repeat themselves, that are their
            source although the reference is not, and that are blank although the source is not.
        length_ratio: characters of all translations, for each one of the references.
    """

    sentences: int
    looping: float
    copied: float
    empty: float
    length_ratio: float


def measure_rates(
    sources: Sequence[str], translations: Sequence[str], references: Sequence[str]
) -> Rates:
    """Measure a test set, given line by line.

    Raises:
        ValueError: if there is no line, or nothing in the references.
    """
    num_characters = sum(map(len, references))
    if num_characters == 0:
        raise ValueError("the references are empty")
    rows = list(zip(sources, translations, references, strict=True))
    return Rates(
        sentences=len(rows),
        looping=sum(bool(repetitions(source, target)) for source, target, _ in rows) / len(rows),
        copied=sum(_same(source, target) and not _same(source, ref) for source, target, ref in rows)
        / len(rows),
        empty=sum(bool(source.strip()) and not target.strip() for source, target, _ in rows)
        / len(rows),
        length_ratio=sum(map(len, translations)) / num_characters,
    )


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
