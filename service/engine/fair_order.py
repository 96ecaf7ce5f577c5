"""Whose turn it is: an order that is fair to clients, and to the requests of each client.

Work is counted in tokens. A client that has had less of it comes before one that has had more, and
within a client so does a request; among equals the older one comes first. So neither a thousand
sentences of one request nor a thousand requests of one client keep another one waiting, and every
job's turn comes, since what is added later starts no earlier than what is being served now.

Source: Goyal, Vin and Cheng 1996, "Start-time Fair Queuing", section 2, applied on two levels.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

from service.engine.job import Job


class _Turn(NamedTuple):
    """A waiting job; turns are taken in the order of these fields.

    Attributes:
        start: tokens that its request had been given before it, on the clock of its client.
        number: how many jobs came before it.
    """

    start: float
    number: int
    job: Job

    @property
    def end(self) -> float:
        """What its request will have been given after it."""
        return self.start + self.job.cost


class _Client:
    """The waiting jobs of one client.

    Attributes:
        start: tokens that the client has been given, on the clock of all.
        turns: a heap.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self.turns: list[_Turn] = []
        self._now = 0.0
        self._ends: dict[object, float] = {}  # of requests that wait, after their last job

    def add(self, job: Job, number: int) -> None:
        turn = _Turn(max(self._now, self._ends.get(job.request, 0.0)), number, job)
        self._ends[job.request] = turn.end
        heapq.heappush(self.turns, turn)

    def pop(self) -> Job:
        turn = heapq.heappop(self.turns)
        self._now = turn.start
        self.start += turn.job.cost
        if self._ends[turn.job.request] <= turn.end:  # the last one of its request
            del self._ends[turn.job.request]
        return turn.job

    def keep(self, turns: list[_Turn]) -> None:
        """Wait with these only, some of what there was."""
        self.turns = turns
        heapq.heapify(turns)
        waiting = {turn.job.request for turn in turns}
        self._ends = {key: end for key, end in self._ends.items() if key in waiting}


class FairOrder:
    """Jobs in the order of their turns."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}  # those that have a job here
        self._now = 0.0
        self._number = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, job: Job) -> None:
        """Let `job` wait for its turn."""
        client = self._clients.setdefault(job.client, _Client(self._now))
        client.add(job, self._number)
        self._number += 1
        self._size += 1

    def first(self) -> Job | None:
        """The job whose turn it is."""
        return self._next().turns[0].job if self._clients else None

    def pop(self) -> Job:
        """Remove and return the job whose turn it is; there must be one."""
        client = self._next()
        self._now = client.start
        self._size -= 1
        job = client.pop()
        if not client.turns:
            del self._clients[job.client]
        return job

    def _next(self) -> _Client:
        return min(
            self._clients.values(), key=lambda client: (client.start, client.turns[0].number)
        )

    def take_all(self, is_wanted: Callable[[Job], bool]) -> list[Job]:
        """Remove and return all that are wanted; the others keep their turns."""
        taken = []
        for name, client in list(self._clients.items()):
            wanted = [turn for turn in client.turns if is_wanted(turn.job)]
            if not wanted:
                continue
            taken += wanted
            gone = {turn.number for turn in wanted}
            client.keep([turn for turn in client.turns if turn.number not in gone])
            if not client.turns:
                del self._clients[name]
        self._size -= len(taken)
        return [turn.job for turn in sorted(taken, key=lambda turn: turn.number)]
