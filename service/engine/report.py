"""What one engine step did."""

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
        queue_segments: segments waiting after the step.
        queue_tokens: source tokens waiting after the step.
        source_tokens: tokens encoded in this step.
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
    queue_segments: int
    queue_tokens: int
    source_tokens: int
    target_tokens: int
    wasted_tokens: int
    encode_seconds: float
    decode_seconds: float
