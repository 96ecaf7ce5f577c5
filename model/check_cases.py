"""The cases of `dragoman evaluate --checks`: texts in `check_cases.toml`, written for it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).with_name("check_cases.toml")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A text to translate, and what to look for in the translation.

    Attributes:
        category: name of the check that it was written for.
        source, target: codes of the languages.
        keep: numbers or names that the translation must have; "Köln|Cologne" takes either form.
        long: far beyond one sentence; only for a model behind a sentence splitter.
    """

    category: str
    source: str
    target: str
    text: str
    keep: tuple[str, ...] = ()
    long: bool = False


def load_cases(path: Path = CASES) -> tuple[Case, ...]:
    """All cases of all directions, in the order of the file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    cases = []
    for direction, categories in table.items():
        source, target = direction.split("-")
        for category, entries in categories.items():
            for entry in entries:
                fields = {"text": entry} if isinstance(entry, str) else dict(entry)
                fields["keep"] = tuple(fields.get("keep", ()))
                cases.append(Case(category=category, source=source, target=target, **fields))
    return tuple(cases)
