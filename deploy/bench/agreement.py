"""Before anything is timed: do all peers translate alike?

In float32 they must choose the same tokens, but for near ties and, with beams, for different rules
when to stop. In int8 every peer rounds in its own way, so that only the amount of work must be the
same: a peer that ends early would win.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.bench.peers import Setup

MIN_SAME_GREEDY = 0.99  # share of sentences, float32
# CTranslate2 stops at the first `beam_size` ends, the reference when none can win any more. A
# trained model seldom notices; the flat scores of random weights left 62 % the same.
MIN_SAME_BEAM = 0.5
MAX_LENGTH_CHANGE = 0.1  # of the sum of all target tokens


class Disagreement(Exception):
    """A peer translates otherwise than the reference, so its time means nothing."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A peer against the reference in float32.

    Attributes:
        same: share of sentences with the same tokens.
        length: target tokens against the reference's, 1.0 for equally many.
    """

    same: float
    length: float


def compare(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> Agreement:
    """How far two lists of translations agree."""
    pairs = list(zip(found, wanted, strict=True))
    return Agreement(
        same=sum(list(one) == list(other) for one, other in pairs) / len(pairs),
        length=sum(map(len, found)) / sum(map(len, wanted)),
    )


def require_agreement(name: str, setup: Setup, agreement: Agreement) -> None:
    """Let the timing go on only if the peer does the same work.

    Raises:
        Disagreement: with the figure and its limit.
    """
    if abs(agreement.length - 1.0) > MAX_LENGTH_CHANGE:
        raise Disagreement(
            f"{name} writes {agreement.length:.0%} of the reference's tokens in "
            f"{setup.precision}; it may be off by {MAX_LENGTH_CHANGE:.0%}"
        )
    limit = MIN_SAME_GREEDY if setup.beam_size == 1 else MIN_SAME_BEAM
    if setup.precision == "float32" and agreement.same < limit:
        raise Disagreement(
            f"{name} translates {agreement.same:.1%} of the sentences as the reference does; "
            f"the limit is {limit:.0%}"
        )
