"""Tell formal from informal address in German, to let users ask for one of them."""

import re
from typing import Literal

from model.corpus import Pair

Formality = Literal["formal", "informal"]
FORMALITIES: tuple[Formality, ...] = ("formal", "informal")
LANGUAGES = frozenset({"de"})
"""Target languages whose forms of address are known here."""

# A capital inside a sentence tells "Sie" from "sie"; at its start only the English side does.
_START = r"(?:^|[.!?:;…\"'„“‚»«›‹(\[*–—-])\s*"
_FORMAL = re.compile(r"\b(?:Sie|Ihnen|Ihr|Ihre[mnrs]?)\b")
_FORMAL_AT_START = re.compile(rf"{_START}(?:Sie|Ihnen|Ihr|Ihre[mnrs]?)\b")
_INFORMAL = re.compile(
    r"\b(?:du|dich|dir|dein(?:e[mnrs]?)?|euch|euer|eure[mnrs]?)\b", re.IGNORECASE
)
_YOU = re.compile(r"\b(?:you|your|yours|yourself|yourselves)\b", re.IGNORECASE)


def formality(pair: Pair) -> Formality | None:
    """How `pair.second`, German, addresses its reader; None if it does not, or in both ways.

    Imperatives without a pronoun ("Klick hier") are not recognised.
    """
    english, german = pair
    is_formal = len(_FORMAL.findall(german)) > len(_FORMAL_AT_START.findall(german)) or (
        bool(_FORMAL_AT_START.search(german)) and bool(_YOU.search(english))
    )
    is_informal = bool(_INFORMAL.search(german))
    if is_formal == is_informal:
        return None
    return "formal" if is_formal else "informal"
