"""The engine: a worker for each core, over one queue that all clients share."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.job import Job
from service.engine.job_queue import JobQueue
from service.engine.limits import EngineLimits
from service.engine.report import Occupancy, StepReport
from service.engine.runner import Runner
from service.engine.worker import Worker
from service.errors import EngineFailure, SegmentTooLong

_log = logging.getLogger(__name__)


class Engine:
    """Decodes jobs; any thread may call it.

    All workers run the same two sessions, each on one core with slots of its own: small models
    lose more to the meeting of threads inside a product than they gain by them.

    Args:
        on_step: told after every step what it did, on the worker's thread.

    Attributes:
        workers: to be stepped by hand where the engine is not started.
    """

    def __init__(
        self, runner: Runner, limits: EngineLimits, *, on_step: Callable[[StepReport], None]
    ) -> None:
        self._limits = limits
        self._on_step = on_step
        self._queue = JobQueue(limits.max_queue_tokens)
        self.workers: Sequence[Worker] = [
            Worker(runner, limits, self._queue, self._num_running)
            for _ in range(limits.num_workers)
        ]
        self._is_healthy = True
        self._threads = [
            threading.Thread(target=self._run, args=[worker], name=f"worker-{n}", daemon=True)
            for n, worker in enumerate(self.workers)
        ]

    def _num_running(self) -> int:
        return sum(worker.num_rows for worker in self.workers)

    @property
    def is_healthy(self) -> bool:
        """False after an error that left the state unknown; the process must be restarted."""
        return self._is_healthy

    @property
    def occupancy(self) -> Occupancy:
        """What is held now, over all workers."""
        segments, tokens = self._queue.size
        return Occupancy(
            rows=self._num_running(),
            slots=len(self.workers) * self._limits.max_slots,
            queue_segments=segments,
            queue_tokens=tokens,
            cache_bytes=sum(worker.num_cache_bytes for worker in self.workers),
            reserved_tokens=sum(worker.num_reserved_tokens for worker in self.workers),
            max_reserved_tokens=len(self.workers) * self._limits.max_cache_tokens,
        )

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def check_room(self, client: str, deadline: float) -> None:
        """Raise what `submit` would raise for want of room for any job of `client`.

        It is there to refuse a request before there is any work on it.

        Raises:
            QueueFull, WaitTooLong, EngineStopped: if no more is taken.
        """
        self._queue.check_room(client, deadline)

    def submit(self, job: Job) -> None:
        """Let `job` wait for its turn; its future resolves on a worker's thread.

        Raises:
            SegmentTooLong: if it has more source tokens than a segment may have.
            QueueFull, WaitTooLong, EngineStopped: if no more is taken.
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
        if self._join(timeout_seconds):
            return True
        for worker in self.workers:
            worker.is_abandoning = True
        self._join(1.0)
        return False

    def _join(self, timeout_seconds: float) -> bool:
        """Wait for the threads; say whether all have ended."""
        end = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, worker: Worker) -> None:
        """What a worker's thread does."""
        try:
            while worker.is_busy or self._queue.wait():
                self._on_step(worker.step())
        except Exception as error:  # noqa: BLE001 - the edge: a bug, after it the state is unknown
            self._is_healthy = False
            self._queue.close()
            _log.exception("the engine has lost its state")
            failure = EngineFailure(f"the engine has lost its state: {error}")
            worker.fail_open(failure)
            for job in self._queue.take_all(lambda job: True):
                job.fail(failure)
