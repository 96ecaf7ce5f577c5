"""The engine: one thread that owns the slots, one loop that all clients share.

Segments join between steps and leave when they end; rows at different positions and with
different options are decoded together.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.engine.invariants import Snapshot
from service.engine.job import Job, JobResult, JobState
from service.engine.job_queue import JobQueue
from service.engine.limits import EngineLimits, num_admissible
from service.engine.report import StepReport
from service.engine.runner import Floats, Runner
from service.engine.search import Search, StepScores, start_search
from service.engine.slots import SlotTable
from service.errors import (
    DeadlineExceeded,
    EngineFailure,
    RequestCancelled,
    SegmentTooLong,
    ServiceError,
)

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Running:
    """A job that holds slots."""

    job: Job
    search: Search
    slots: list[int]
    admitted_at: float
    num_steps: int = 0


@dataclass
class _Tally:
    """What a step has done so far; it becomes the report."""

    admitted: int = 0
    finished: int = 0
    dropped: int = 0
    failed: int = 0
    rows: int = 0
    source_tokens: int = 0
    target_tokens: int = 0
    wasted_tokens: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0


class Engine:
    """Decodes jobs. `submit` may be called from any thread, `step` only from its own.

    Args:
        on_step: told after every step what it did, on the engine thread.
    """

    def __init__(
        self, runner: Runner, limits: EngineLimits, *, on_step: Callable[[StepReport], None]
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._on_step = on_step
        self._queue = JobQueue(limits.max_queue_tokens)
        self._slots = SlotTable(runner.sizes, limits.max_slots)
        self._stepper = runner.stepper(self._slots)
        self._running: list[Running] = []
        self._open: set[Job] = set()  # taken from the queue, and not answered yet
        self._tally = _Tally()
        self._is_healthy = True
        self._is_abandoning = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def is_healthy(self) -> bool:
        """False after an error that left the state unknown; the process must be restarted."""
        return self._is_healthy

    @property
    def num_cache_bytes(self) -> int:
        """Memory of the KV caches."""
        return self._slots.num_bytes

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Let `job` wait for its turn; its future resolves on the engine thread.

        Raises:
            SegmentTooLong: if it has more source tokens than a segment may have.
            QueueFull, EngineStopped: if no more is taken.
            ValueError: if its options are beyond the engine's limits.
        """
        limits, options = self._limits, job.options
        if len(job.source_ids) > limits.max_source_tokens:
            raise SegmentTooLong(value=len(job.source_ids), limit=limits.max_source_tokens)
        max_beam_size = min(limits.max_beam_size, limits.max_slots)
        if options.beam_size > max_beam_size:
            raise ValueError(f"beam_size {options.beam_size}; limit {max_beam_size}")
        if options.max_target_tokens > limits.max_target_tokens:
            raise ValueError(
                f"max_target_tokens {options.max_target_tokens}; limit {limits.max_target_tokens}"
            )
        self._queue.put(job)

    def drain(self, timeout_seconds: float) -> bool:
        """Take no more, finish what is in; say whether that was done in time.

        What is not done in time fails with `RequestCancelled`.
        """
        self._queue.close()
        self._thread.join(timeout_seconds)
        if in_time := not self._thread.is_alive():
            return in_time
        self._is_abandoning = True
        self._thread.join(1.0)
        return False

    def _run(self) -> None:
        """The engine thread."""
        try:
            while self._running or self._queue.wait():
                self._on_step(self.step())
        except Exception as error:  # noqa: BLE001 - the edge: a bug, after it the state is unknown
            self._is_healthy = False
            self._queue.close()
            _log.exception("the engine has lost its state")
            failure = EngineFailure(f"the engine has lost its state: {error}")
            for job in [*self._open, *self._queue.take(len)]:
                self._fail(job, failure)

    def step(self) -> StepReport:
        """Advance every busy slot by one token. Runs only on the engine thread."""
        self._tally = _Tally()
        self._drop_abandoned()
        admitted = self._admit()
        self._encode(admitted)
        scores = self._decode()
        finished = self._advance(scores)
        self._deliver(finished)
        return self._report()

    def _drop_abandoned(self) -> None:
        """Free the slots of jobs whose client is gone or whose deadline has passed."""
        now = time.monotonic()

        def is_abandoned(job: Job) -> bool:
            return job.cancelled or self._is_abandoning or now > job.deadline

        for job in self._queue.take_abandoned(is_abandoned):
            self._drop(job, now)
        for running in [running for running in self._running if is_abandoned(running.job)]:
            self._release(running)
            self._tally.wasted_tokens += running.num_steps * running.job.options.beam_size
            self._drop(running.job, now)

    def _drop(self, job: Job, now: float) -> None:
        error: ServiceError = RequestCancelled("nobody waits for this segment any more")
        if now > job.deadline:
            waited, allowed = now - job.submitted_at, job.deadline - job.submitted_at
            error = DeadlineExceeded(value=waited, limit=allowed)
        self._fail(job, error)
        self._tally.dropped += 1

    def _admit(self) -> list[Job]:
        """The oldest waiting jobs, as many as slots and the encoder's budget allow."""

        def choose(waiting: Sequence[Job]) -> int:
            wants = [(job.options.beam_size, len(job.source_ids)) for job in waiting]
            return num_admissible(wants, self._slots.num_free)

        admitted = self._queue.take(choose)
        self._open.update(admitted)
        return admitted

    def _encode(self, jobs: Sequence[Job]) -> None:
        """Source tokens to keys and values, copied into the slots of each job."""
        if not jobs:
            return
        started = time.monotonic()
        try:
            cross = self._runner.encode([job.source_ids for job in jobs])
        except Exception as error:  # noqa: BLE001 - onnxruntime's own class; only these jobs fail
            self._fail_all(jobs, error)
            return
        for index, job in enumerate(jobs):
            job.advance_to(JobState.ENCODED)
            self._begin(job, cross[:, index], started)
        self._tally.admitted = len(jobs)
        self._tally.encode_seconds = time.monotonic() - started
        self._tally.source_tokens = sum(len(job.source_ids) for job in jobs)

    def _begin(self, job: Job, cross: Floats, admitted_at: float) -> None:
        slots = self._slots.allocate(
            job.options.beam_size, cross, len(job.source_ids), self._runner.bos_id
        )
        search = start_search(job.options, self._runner.eos_id)
        self._running.append(Running(job, search, slots, admitted_at))
        job.advance_to(JobState.DECODING)

    def _decode(self) -> StepScores | None:
        """One step for all busy slots; None if there are none, or it failed."""
        if not self._running:
            return None
        started = time.monotonic()
        try:
            scores = self._stepper.step()
        except Exception as error:  # noqa: BLE001 - onnxruntime's own class; what runs fails
            failed = list(self._running)
            for running in failed:
                self._release(running)
            self._fail_all([running.job for running in failed], error)
            return None
        self._tally.decode_seconds = time.monotonic() - started
        self._tally.rows = self._tally.target_tokens = self._slots.num_busy
        return scores

    def _fail_all(self, jobs: Sequence[Job], error: Exception) -> None:
        _log.error("a step failed and %d segments with it: %s", len(jobs), error)
        for job in jobs:
            self._fail(job, EngineFailure(f"the model failed on this batch: {error}"))
        self._tally.failed += len(jobs)

    def _advance(self, scores: StepScores | None) -> list[Running]:
        """Choose tokens, extend hypotheses, reorder the KV cache; return what has ended."""
        if scores is None:
            return []
        started = time.monotonic()
        finished = []
        for running in self._running:
            running.num_steps += 1
            slots = running.slots
            choice = running.search.advance(scores.of(slots))
            if choice is None:
                finished.append(running)
            else:
                parents = [slots[parent] for parent in choice.parents]
                self._slots.advance(slots, parents, choice.token_ids)
        self._tally.decode_seconds += time.monotonic() - started
        return finished

    def _deliver(self, finished: Sequence[Running]) -> None:
        """Free slots and resolve futures."""
        now = time.monotonic()
        for running in finished:
            job = running.job
            result = JobResult(
                hypotheses=running.search.hypotheses(),
                queue_seconds=running.admitted_at - job.submitted_at,
                decode_seconds=now - running.admitted_at,
                num_steps=running.num_steps,
            )
            self._release(running)
            self._open.discard(job)
            job.advance_to(JobState.FINISHED)
            if job.future.set_running_or_notify_cancel():
                job.future.set_result(result)
        self._tally.finished = len(finished)

    def _release(self, running: Running) -> None:
        """Give back a job's slots; others may move into their place."""
        self._running.remove(running)
        moves = self._slots.free(running.slots)
        for other in self._running if moves else ():
            other.slots = [moves.get(slot, slot) for slot in other.slots]

    def _fail(self, job: Job, error: ServiceError) -> None:
        self._open.discard(job)
        job.advance_to(JobState.FAILED)
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(error)

    def _report(self) -> StepReport:
        segments, tokens = self._queue.size
        return StepReport(**vars(self._tally), queue_segments=segments, queue_tokens=tokens)

    def snapshot(self) -> Snapshot:
        """The state between two steps."""
        return Snapshot(
            num_busy=self._slots.num_busy,
            max_slots=self._slots.max_slots,
            slots_by_job=tuple(tuple(running.slots) for running in self._running),
            states=tuple(running.job.state for running in self._running),
            lengths=tuple(self._slots.lengths[: self._slots.num_busy].tolist()),
            limits=tuple(
                running.job.options.max_target_tokens
                for running in self._running
                for _ in running.slots
            ),
        )
