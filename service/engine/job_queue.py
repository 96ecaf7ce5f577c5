"""The bounded queue from request handlers to the engine thread."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from service.engine.job import Job
from service.errors import EngineStopped, QueueFull


class JobQueue:
    """Waiting jobs, oldest first, bounded by their source tokens. Any thread may use it."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._jobs: deque[Job] = deque()
        self._tokens = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Let `job` wait.

        Raises:
            QueueFull: if its tokens would exceed the bound.
            EngineStopped: if the queue is closed.
        """
        with self._changed:
            if self._is_closed:
                raise EngineStopped("the engine is stopping and takes no more work")
            tokens = self._tokens + len(job.source_ids)
            if tokens > self._max_tokens:
                raise QueueFull(value=tokens, limit=self._max_tokens)
            self._jobs.append(job)
            self._tokens = tokens
            self._changed.notify()

    def take(self, choose: Callable[[Sequence[Job]], int]) -> list[Job]:
        """Remove and return as many of the oldest jobs as `choose` says."""
        with self._changed:
            return [self._remove_oldest() for _ in range(choose(self._jobs))]

    def take_abandoned(self, is_abandoned: Callable[[Job], bool]) -> list[Job]:
        """Remove and return the jobs that nobody waits for."""
        with self._changed:
            abandoned = [job for job in self._jobs if is_abandoned(job)]
            if abandoned:
                gone = set(map(id, abandoned))
                self._jobs = deque(job for job in self._jobs if id(job) not in gone)
                self._tokens -= sum(len(job.source_ids) for job in abandoned)
            return abandoned

    def _remove_oldest(self) -> Job:
        job = self._jobs.popleft()
        self._tokens -= len(job.source_ids)
        return job

    def wait(self) -> bool:
        """Sleep until a job waits (True) or the queue is closed and empty (False)."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_closed)
            return bool(self._jobs)

    def close(self) -> None:
        """Take no more; what waits may still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    @property
    def size(self) -> tuple[int, int]:
        """Jobs and source tokens that wait."""
        with self._changed:
            return len(self._jobs), self._tokens
