"""The bounded queue from request handlers to the engine's workers."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from service.engine.drain_rate import DrainRate
from service.engine.fair_order import FairOrder
from service.engine.job import Job
from service.errors import EngineStopped, QueueFull, WaitTooLong

WAITING_SHARE = 0.5
"""Most of a job's time that it may wait; the rest is for its decoding, and for what was expected
wrongly: text that comes after it, by turns of others, and sentences longer than those before."""


class JobQueue:
    """Waiting jobs in a fair order, bounded by their source tokens. Any thread may use it.

    A job whose turn would come when most of its time is over is refused at once: to let it wait
    would cost its client time, and others the work on it if it came too late by little.

    Args:
        clock: tells the time in seconds, as deadlines do.
    """

    def __init__(self, max_tokens: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_tokens = max_tokens
        self._clock = clock
        self._rate = DrainRate()
        self._jobs = FairOrder()
        self._tokens_of: Counter[str] = Counter()  # by client, of those who have any
        self._tokens = 0
        self._rows = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Let `job` wait.

        Raises:
            QueueFull: if its tokens would exceed the bound.
            WaitTooLong: if it would wait for more than `WAITING_SHARE` of the time that it has.
            EngineStopped: if the queue is closed.
        """
        with self._changed:
            self._check_room(job.client, job.deadline, len(job.source_ids))
            self._jobs.add(job)
            self._tokens += len(job.source_ids)
            self._tokens_of[job.client] += len(job.source_ids)
            self._rows += job.options.beam_size
            self._changed.notify()

    def check_room(self, client: str, deadline: float) -> None:
        """Raise what `put` would for any job of `client`, however short."""
        with self._changed:
            self._check_room(client, deadline, 1)

    def _check_room(self, client: str, deadline: float, num_tokens: int) -> None:
        if self._is_closed:
            raise EngineStopped("the engine is stopping and takes no more work")
        tokens = self._tokens + num_tokens
        if tokens > self._max_tokens:
            raise QueueFull(value=tokens, limit=self._max_tokens)
        wait = self._expected_wait(client)
        allowed = WAITING_SHARE * max(deadline - self._clock(), 0.0)
        if wait > allowed:
            raise WaitTooLong(value=wait, limit=allowed)

    def _expected_wait(self, client: str) -> float:
        """Seconds until the turn of the next job of `client` comes.

        Those who wait are served by turns, so that before it each of them gets about as much as
        the client itself has waiting; and nobody waits for more than all there is.
        """
        by_turns = self._tokens_of[client] * len(self._tokens_of)
        return self._rate.seconds(min(by_turns, self._tokens))

    def take(self, admits: Callable[[Job], bool]) -> list[Job]:
        """Remove and return jobs in the order of their turns, up to the first that is not admitted.

        Nobody overtakes, so that who needs much room is not kept waiting by who needs little.
        """
        taken: list[Job] = []
        with self._changed:
            while (job := self._jobs.first()) is not None and admits(job):
                taken.append(self._jobs.pop())
                self._forget(job)
            if taken:
                tokens = sum(len(job.source_ids) for job in taken)
                self._rate.took(tokens, self._clock(), leaves_others=bool(self._jobs))
        return taken

    def take_all(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        """Remove and return the jobs that are wanted, whosever turn it is."""
        with self._changed:
            taken = self._jobs.take_all(is_wanted)
            for job in taken:
                self._forget(job)
        return taken

    def _forget(self, job: Job) -> None:
        self._tokens -= len(job.source_ids)
        self._tokens_of[job.client] -= len(job.source_ids)
        if not self._tokens_of[job.client]:
            del self._tokens_of[job.client]
        self._rows -= job.options.beam_size

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
    def num_rows(self) -> int:
        """Slots that the waiting jobs will take."""
        return self._rows

    @property
    def num_tokens(self) -> int:
        """Source tokens of the waiting jobs."""
        return self._tokens

    @property
    def size(self) -> tuple[int, int]:
        """Jobs and source tokens that wait."""
        with self._changed:
            return len(self._jobs), self._tokens
