"""What one engine step did, and what the engine holds at a moment."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Counts and times of one step, handed to `on_step` on the engine thread.

    Attributes:
        admitted: segments that got slots.
        finished: segments answered.
        dropped: segments nobody waited for any more.
        failed: segments ended by an error.
        rows: busy slots (hypotheses) decoded in this step.
        source_tokens: tokens encoded in this step.
        padding_tokens: places of no token that the encoder's attention works on beside them.
        target_tokens: tokens chosen in this step, one for each busy row.
        wasted_tokens: target tokens decoded for jobs that were dropped in this step.
        encode_seconds: time of the encoder.
        decode_seconds: time of the decoder graph and the choice; 0.0 when nothing ran.
    """

    admitted: int
    finished: int
    dropped: int
    failed: int
    rows: int
    source_tokens: int
    padding_tokens: int
    target_tokens: int
    wasted_tokens: int
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """What all workers hold together, asked for from outside; the default is an idle engine.

    A step of one worker cannot tell it: what others did meanwhile would be lost.

    Attributes:
        rows: busy slots (hypotheses).
        slots: most rows there may be.
        queue_segments: segments that wait.
        queue_tokens: source tokens that wait.
        cache_bytes: memory of the KV caches.
        reserved_tokens: target tokens that the rows may grow to, each of them like the longest.
        max_reserved_tokens: what `reserved_tokens` may be, but for one long segment alone.
    """

    rows: int = 0
    slots: int = 0
    queue_segments: int = 0
    queue_tokens: int = 0
    cache_bytes: int = 0
    reserved_tokens: int = 0
    max_reserved_tokens: int = 0
