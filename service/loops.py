"""Does a translation repeat itself? The commonest way in which a decoder goes wrong."""

from collections.abc import Sequence

MAX_PERIOD = 32
MIN_REPEATS = 4
MIN_TOKENS = 12
"""So that "no, no, no, no" and the zeros of a million are no loops."""


def is_loop(token_ids: Sequence[int]) -> bool:
    """Whether 1 to 32 tokens stand four times or more in a row, over at least 12 tokens.

    Exact, by comparing each token with the one a period before: at most 32 * len(token_ids) steps.
    """
    num_tokens = len(token_ids)
    for period in range(1, min(MAX_PERIOD, num_tokens // MIN_REPEATS) + 1):
        enough = max(MIN_REPEATS * period, MIN_TOKENS) - period
        same = 0  # tokens in a row that equal the one a period before
        for place in range(period, num_tokens):
            same = same + 1 if token_ids[place] == token_ids[place - period] else 0
            if same == enough:
                return True
    return False
