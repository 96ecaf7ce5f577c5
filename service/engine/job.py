"""A segment inside the engine: what is asked, what comes back, and where it stands."""

import enum
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from service.engine.options import DecodingOptions

FinishReason = Literal["stop", "length"]


class JobState(enum.Enum):
    """The life of a job; `Job.advance_to` is the only place that changes it."""

    WAITING = "waiting"
    ENCODED = "encoded"
    DECODING = "decoding"
    FINISHED = "finished"
    FAILED = "failed"


_NEXT_STATES = {
    JobState.WAITING: {JobState.ENCODED, JobState.FAILED},
    JobState.ENCODED: {JobState.DECODING, JobState.FAILED},
    JobState.DECODING: {JobState.FINISHED, JobState.FAILED},
    JobState.FINISHED: set(),
    JobState.FAILED: set(),
}


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One finished translation of a segment.

    Attributes:
        token_ids: target tokens, without `bos` and `eos`.
        token_log_probs: log probability of each token; when `eos` was chosen, its own is the last.
        score: `DecodingOptions.score` of their sum.
        finish_reason: "stop" when `eos` was chosen, "length" when the limit cut it.
        rows: by which hypothesis of its segment each token was chosen; how it was found, so two
            that are otherwise equal are equal.
        alignment: for each of `token_ids` the place in `Job.aligned` that it was read from; None
            unless asked for.
    """

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    score: float
    finish_reason: FinishReason
    rows: tuple[int, ...] = field(default=(), compare=False)
    alignment: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a job's future resolves to: hypotheses best first, and where the time went.

    Attributes:
        queue_seconds: from the submission to the first slot.
        first_token_seconds: from the submission to the end of the first decoder step.
        decode_seconds: from the first slot to the end.
    """

    hypotheses: tuple[Hypothesis, ...]
    queue_seconds: float
    first_token_seconds: float
    decode_seconds: float
    num_steps: int

    @property
    def seconds_per_token(self) -> float | None:
        """Time of a step after the first, each of which chooses one token; None without one."""
        if self.num_steps < 2:
            return None
        seconds = self.queue_seconds + self.decode_seconds - self.first_token_seconds
        return seconds / (self.num_steps - 1)


@dataclass(eq=False, kw_only=True)
class Job:
    """One segment waiting for, or holding, slots of the engine.

    Attributes:
        source_ids: source tokens with the target-language tag first and `eos` last.
        options: how to decode it.
        client: who asks; the engine is fair to clients.
        request: what it was asked with; the engine is fair to the requests of a client.
        deadline: `time.monotonic()` value after which nobody wants the answer.
        future: resolves on a worker's thread to a `JobResult` or a `ServiceError`.
        on_tokens: told on a worker's thread, whenever there are more of them, all tokens that the
            best hypothesis is sure to begin with; it must neither wait nor raise.
        aligned: the places of `source_ids` that target tokens are aligned to; None asks for none.
    """

    source_ids: tuple[int, ...]
    options: DecodingOptions
    client: str = ""
    request: Hashable = None
    deadline: float = float("inf")
    future: "Future[JobResult]" = field(default_factory=Future)
    on_tokens: Callable[[tuple[int, ...]], None] | None = None
    aligned: range | None = None
    submitted_at: float = field(default_factory=time.monotonic)
    state: JobState = JobState.WAITING
    cancelled: bool = False

    @property
    def cost(self) -> int:
        """The work it makes, in source tokens for each hypothesis."""
        return len(self.source_ids) * self.options.beam_size

    def cancel(self) -> None:
        """Say that nobody waits any more; the engine frees the slots at its next step."""
        self.cancelled = True

    def finish(self, result: "JobResult") -> None:
        """Answer with a result."""
        self.advance_to(JobState.FINISHED)
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        self.advance_to(JobState.FAILED)
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def advance_to(self, state: JobState) -> None:
        """Move to `state`; a move that the life of a job does not know is a bug."""
        assert state in _NEXT_STATES[self.state], f"{self.state} -> {state}. This is a bug."
        self.state = state
