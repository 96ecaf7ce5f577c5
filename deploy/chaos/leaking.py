"""The service with a leak: `python -m deploy.chaos.leaking serve` keeps memory of every request.

It shows that the soak would notice.
"""

import sys
from collections.abc import Sequence
from typing import Any

import dragoman
from service.draft import Draft, Drafter

LEAK_BYTES = 16_384  # of a request
_kept: list[bytes] = []


def main(argv: Sequence[str]) -> int:
    """As `dragoman`, but that nothing is forgotten."""
    draft = Drafter.draft

    def draft_and_keep(drafter: Drafter, *arguments: Any) -> list[Draft]:
        _kept.append(b"x" * LEAK_BYTES)
        return draft(drafter, *arguments)

    Drafter.draft = draft_and_keep  # type: ignore[assignment, method-assign]
    return dragoman.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
