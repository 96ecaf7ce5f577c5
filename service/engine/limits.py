"""How much the engine takes at once, and who may come in next."""

from collections.abc import Sequence
from dataclasses import dataclass

ENCODE_TOKENS = 1024  # source tokens encoded in one step, so that running rows wait only briefly


@dataclass(frozen=True, kw_only=True)
class EngineLimits:
    """Bounds of the engine, fixed when it starts.

    Attributes:
        max_slots: rows decoded together, one hypothesis each.
        max_source_tokens: tokens of one segment, tag and `eos` included.
        max_target_tokens: tokens of one hypothesis, `eos` included.
        max_queue_tokens: waiting source tokens, over all clients.
        max_beam_size: live hypotheses of one segment.
    """

    max_slots: int
    max_source_tokens: int
    max_target_tokens: int
    max_queue_tokens: int
    max_beam_size: int


def num_admissible(wants: Sequence[tuple[int, int]], free_slots: int) -> int:
    """How many of the oldest waiting segments come in now.

    They come in by age and nobody overtakes, so that a segment of many slots is not kept
    waiting by a stream of small ones.

    Args:
        wants: (slots, source tokens) of each waiting segment, oldest first.
    """
    slots = tokens = 0
    for count, (num_slots, num_tokens) in enumerate(wants):
        slots += num_slots
        tokens += num_tokens
        if slots > free_slots or (count and tokens > ENCODE_TOKENS):
            return count
    return len(wants)
