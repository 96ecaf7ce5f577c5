"""A worker: slots, a decoder over them, and the step that all its segments share.

Segments join between steps and leave when they end; rows at different positions and with
different options are decoded together.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.engine.alignment import Alignment
from service.engine.invariants import Snapshot
from service.engine.job import Job, JobState
from service.engine.job_queue import JobQueue
from service.engine.limits import Admission, EngineLimits, Gathering, capacity_for, fair_rows
from service.engine.report import StepReport
from service.engine.runner import Runner
from service.engine.running import Running
from service.engine.scores import StepScores
from service.engine.search import start_search
from service.errors import DeadlineExceeded, EngineFailure, RequestCancelled, ServiceError

SWEEP_SECONDS = 0.02
"""How often the queue is looked through for jobs that nobody waits for; it may be long."""

_log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What a step has done so far; it becomes the report."""

    admitted: int = 0
    finished: int = 0
    dropped: int = 0
    failed: int = 0
    rows: int = 0
    source_tokens: int = 0
    padding_tokens: int = 0
    target_tokens: int = 0
    wasted_tokens: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0


class Worker:
    """Decodes jobs from a queue that it may share with other workers. One thread runs `step`.

    Args:
        num_running: rows of all workers, this one included.
    """

    def __init__(
        self,
        runner: Runner,
        limits: EngineLimits,
        queue: JobQueue,
        num_running: Callable[[], int],
    ) -> None:
        self._runner = runner
        self._limits = limits
        self._queue = queue
        self._num_running = num_running
        self._slots = runner.slot_table(limits.max_slots, limits.max_cache_tokens)
        self._stepper = runner.stepper(self._slots)
        self._running: list[Running] = []
        self._open: set[Job] = set()  # taken from the queue, and not answered yet
        self._tally = _Tally()
        self._sweep_at = 0.0
        self._gathering = Gathering()
        self.is_abandoning = False

    @property
    def is_busy(self) -> bool:
        """Whether it holds jobs."""
        return bool(self._running)

    @property
    def num_rows(self) -> int:
        """Slots that its jobs have or may take; any thread may ask."""
        return self._slots.num_held

    @property
    def num_cache_bytes(self) -> int:
        """Memory of the KV caches."""
        return self._slots.num_bytes

    @property
    def num_reserved_tokens(self) -> int:
        """Target tokens that `Admission` counts for its rows; any thread may ask."""
        return self._slots.num_held * capacity_for(self._longest)

    @property
    def _longest(self) -> int:
        """The most target tokens of any row."""
        return max((run.job.options.max_target_tokens for run in self._running), default=1)

    def step(self) -> StepReport:
        """Advance every busy slot by one token."""
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
            return job.cancelled or self.is_abandoning or now > job.deadline

        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            for job in self._queue.take_all(is_abandoned):
                self._drop(job, now)
        abandoned = [running for running in self._running if is_abandoned(running.job)]
        self._release(abandoned)
        for running in abandoned:
            self._tally.wasted_tokens += running.num_tokens
            self._drop(running.job, now)

    def _drop(self, job: Job, now: float) -> None:
        error: ServiceError = RequestCancelled("nobody waits for this segment any more")
        if now > job.deadline:
            waited, allowed = now - job.submitted_at, job.deadline - job.submitted_at
            error = DeadlineExceeded(value=waited, limit=allowed)
        self._fail(job, error)
        self._tally.dropped += 1

    def _admit(self) -> list[Job]:
        """The jobs whose turn it is, as many as this worker has room for."""
        if not self._queue.num_rows or self._lets_gather():
            return []
        room = Admission(
            num_busy=self._slots.num_held,
            max_slots=self._limits.max_slots,
            max_cache_tokens=self._limits.max_cache_tokens,
            longest=self._longest,
            fair_rows=fair_rows(
                self._num_running(), self._queue.num_rows, self._limits.num_workers
            ),
            encode_tokens=self._limits.encode_tokens,
        )
        admitted = self._queue.take(
            lambda job: room.admits(
                rows=job.options.beam_size,
                source_tokens=len(job.source_ids),
                target_tokens=job.options.max_target_tokens,
            )
        )
        self._open.update(admitted)
        return admitted

    def _lets_gather(self) -> bool:
        """Whether those who wait should wait for others, to be encoded together."""
        return self._gathering.holds(
            num_busy=self._slots.num_held,
            num_free=self._slots.num_free,
            waiting_rows=max(1, self._queue.num_rows),
            waiting_tokens=self._queue.num_tokens,
        )

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
        lengths = [len(job.source_ids) for job in jobs]
        self._tally.source_tokens = sum(lengths)
        self._tally.padding_tokens = max(lengths) * len(jobs) - sum(lengths)

    def _begin(self, job: Job, cross: Any, admitted_at: float) -> None:
        search = start_search(job.options, self._runner.eos_id)
        slots = self._slots.allocate(
            *(search.num_rows, cross, len(job.source_ids), self._runner.bos_id),
            num_more=job.options.beam_size - search.num_rows,
        )
        alignment = Alignment(job.aligned) if job.aligned else None
        self._running.append(Running(job, search, slots, admitted_at, alignment))
        job.advance_to(JobState.DECODING)

    def _decode(self) -> StepScores | None:
        """One step for all busy slots; None if there are none, or it failed."""
        if not self._running:
            return None
        started = time.monotonic()
        asked = [slot for run in self._running if run.search.reads_candidates for slot in run.slots]
        read = [slot for run in self._running if run.search.reads_logits for slot in run.slots]
        try:
            scores = self._stepper.step(asked, read)
        except Exception as error:  # noqa: BLE001 - onnxruntime's own class; what runs fails
            failed = list(self._running)
            self._release(failed)
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
        slots: list[int] = []
        token_ids: list[int] = []
        for running in self._running:
            running.first_token_at = running.first_token_at or started
            running.num_steps += 1
            running.num_tokens += len(running.slots)
            if running.alignment:
                running.alignment.look(*self._stepper.attention(running.slots))
            choice = running.search.advance(scores.of(running.slots))
            if choice is None:
                finished.append(running)
            else:
                running.slots = self._slots.reorder(running.slots, choice.parents)
                slots += running.slots
                token_ids += choice.token_ids
                running.tell()
        self._slots.advance(slots, token_ids)
        self._tally.decode_seconds += time.monotonic() - started
        return finished

    def _deliver(self, finished: Sequence[Running]) -> None:
        """Free slots and resolve futures."""
        now = time.monotonic()
        self._release(finished)
        for running in finished:
            result = running.result(now)
            self._open.discard(running.job)
            running.job.finish(result)
        self._tally.finished = len(finished)

    def _release(self, gone: Sequence[Running]) -> None:
        """Give back the slots of jobs; others may move into their place."""
        if not gone and not self._slots.num_left:
            return
        leaving = set(map(id, gone))
        self._running = [running for running in self._running if id(running) not in leaving]
        slots = [slot for running in gone for slot in running.slots]
        num_held = sum(running.job.options.beam_size for running in gone)
        moves = self._slots.free(slots, num_more=num_held - len(slots))
        for other in self._running if moves else ():
            other.slots = [moves.get(slot, slot) for slot in other.slots]

    def fail_open(self, error: ServiceError) -> None:
        """Answer everything that is held with `error`; no step may follow."""
        for job in list(self._open):
            self._fail(job, error)

    def _fail(self, job: Job, error: ServiceError) -> None:
        self._open.discard(job)
        job.fail(error)

    def _report(self) -> StepReport:
        return StepReport(**vars(self._tally))

    def snapshot(self) -> Snapshot:
        """The state between two steps."""
        return Snapshot(
            num_busy=self._slots.num_busy,
            num_rows=self._slots.num_rows,
            max_slots=self._slots.max_slots,
            slots_by_job=tuple(tuple(running.slots) for running in self._running),
            states=tuple(running.job.state for running in self._running),
            lengths=tuple(self._slots.lengths[: self._slots.num_rows].tolist()),
            limits=tuple(
                running.job.options.max_target_tokens
                for running in self._running
                for _ in running.slots
            ),
        )
