"""The queue: bounded, in order, and closed once."""

import threading

import pytest

from service.engine.job import Job
from service.engine.job_queue import JobQueue
from service.errors import EngineStopped, QueueFull, WaitTooLong
from tests.service.engine.toy_runner import make_job


def make_jobs(*lengths: int) -> list[Job]:
    return [make_job(range(length)) for length in lengths]


def everyone(_job: Job) -> bool:
    return True


def fill(queue: JobQueue, *lengths: int) -> list[Job]:
    jobs = make_jobs(*lengths)
    for job in jobs:
        queue.put(job)
    return jobs


def test_jobs_come_out_oldest_first() -> None:
    queue = JobQueue(100)
    first, second, third = fill(queue, 3, 1, 2)

    assert queue.take(lambda job: job is not third) == [first, second]
    assert queue.take(everyone) == [third]
    assert queue.take(everyone) == []


def test_nobody_overtakes_one_that_is_not_admitted() -> None:
    queue = JobQueue(100)
    jobs = fill(queue, 3, 1, 2)

    assert queue.take(lambda job: job is not jobs[0]) == []
    assert queue.size == (3, 6)


def test_the_rows_that_wait_are_counted() -> None:
    queue = JobQueue(100)
    for beam_size in (1, 4, 2):
        queue.put(make_job(beam_size=beam_size))

    assert queue.num_rows == 7
    queue.take(lambda job: job.options.beam_size == 1)
    assert queue.num_rows == 6
    queue.take_all(lambda job: job.options.beam_size == 2)
    assert queue.num_rows == 4


def test_the_bound_counts_tokens_and_may_be_reached() -> None:
    queue = JobQueue(10)
    fill(queue, 6, 4)

    with pytest.raises(QueueFull) as caught:
        queue.put(make_job([5]))

    assert (caught.value.value, caught.value.limit) == (11, 10)
    assert queue.size == (2, 10)


def test_room_is_asked_for_without_a_job() -> None:
    clock = Clock()
    queue = JobQueue(220, clock)
    queue.check_room("", deadline=clock.now)
    fill(queue, *[10] * 22)
    with pytest.raises(QueueFull):
        queue.check_room("", deadline=float("inf"))
    take_one_a_second(queue, clock, 12)  # ten seconds' work still waits

    queue.check_room("", deadline=clock.now + 22.0)
    with pytest.raises(WaitTooLong):
        queue.check_room("", deadline=clock.now + 18.0)
    queue.close()
    with pytest.raises(EngineStopped):
        queue.check_room("other", deadline=float("inf"))
    assert queue.size == (10, 100)


def test_taking_makes_room() -> None:
    queue = JobQueue(10)
    fill(queue, 6, 4)

    queue.take(lambda job: len(job.source_ids) == 6)

    assert queue.size == (1, 4)
    fill(queue, 6)


def test_abandoned_jobs_leave_and_the_others_keep_their_order() -> None:
    queue = JobQueue(10)
    jobs = fill(queue, 1, 2, 3, 4)

    assert queue.take_all(lambda job: job in (jobs[1], jobs[3])) == [jobs[1], jobs[3]]

    assert queue.size == (2, 4)
    assert queue.take(everyone) == [jobs[0], jobs[2]]


def test_a_closed_queue_takes_no_more_but_gives_what_it_has() -> None:
    queue = JobQueue(10)
    jobs = fill(queue, 1, 2)

    queue.close()

    assert queue.is_closed
    with pytest.raises(EngineStopped):
        queue.put(make_job())
    assert queue.wait()
    assert queue.take(everyone) == jobs
    assert not queue.wait()


@pytest.mark.parametrize("wake", ["put", "close"])
def test_who_waits_is_woken(wake: str) -> None:
    queue = JobQueue(10)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.wait()))
    thread.start()

    if wake == "put":
        fill(queue, 1)
    else:
        queue.close()

    thread.join(10)
    assert answers == [wake == "put"]


class Clock:
    """A time that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def take_one_a_second(queue: JobQueue, clock: Clock, seconds: int) -> None:
    """Let so many jobs leave, at ten tokens a second if each has ten."""
    for _ in range(seconds):
        clock.now += 1.0
        room = iter([True])
        queue.take(lambda _job, room=room: next(room, False))  # type: ignore[misc]


def of_client(client: str, deadline: float) -> Job:
    job = make_job(range(10), deadline=deadline)
    job.client = client
    return job


def test_a_job_whose_turn_would_come_after_its_deadline_is_refused() -> None:
    clock = Clock()
    queue = JobQueue(10_000, clock)
    fill(queue, *[10] * 21)
    take_one_a_second(queue, clock, 11)  # ten jobs of ten tokens still wait, for ten seconds

    with pytest.raises(WaitTooLong) as caught:
        queue.put(make_job(range(10), deadline=clock.now + 18.0))
    assert caught.value.value == pytest.approx(10.0)
    assert caught.value.limit == pytest.approx(9.0)
    queue.put(make_job(range(10), deadline=clock.now + 22.0))
    assert queue.size == (11, 110)


def test_another_client_waits_for_its_turn_and_not_for_all() -> None:
    clock = Clock()
    queue = JobQueue(10_000, clock)
    fill(queue, *[10] * 21)
    take_one_a_second(queue, clock, 11)

    queue.put(of_client("other", clock.now + 1.0))  # it has nothing waiting: its turn is next
    with pytest.raises(WaitTooLong) as caught:
        queue.put(of_client("other", clock.now + 3.0))
    assert caught.value.value == pytest.approx(2.0)  # one of its own, one of the first client


def expected_wait(queue: JobQueue, client: str) -> float | None:
    """What a job of `client` is told if it has no time at all."""
    with pytest.raises(WaitTooLong) as caught:
        queue.put(of_client(client, 0.0))
    return caught.value.value


def test_nobody_waits_for_more_than_there_is_nor_for_clients_that_have_left() -> None:
    clock = Clock()
    queue = JobQueue(10_000, clock)
    fill(queue, *[10] * 21)
    take_one_a_second(queue, clock, 11)
    for client, count in (("other", 5), ("third", 2)):
        for _ in range(count):
            queue.put(of_client(client, float("inf")))

    assert expected_wait(queue, "other") == pytest.approx(15.0)  # 5 jobs for each of 3 clients
    assert expected_wait(queue, "") == pytest.approx(17.0)  # not 10 for each: so many do not wait
    queue.take_all(lambda job: job.client == "third")
    assert expected_wait(queue, "other") == pytest.approx(10.0)


def test_an_empty_queue_takes_whom_it_has_refused() -> None:
    clock = Clock()
    queue = JobQueue(10_000, clock)
    fill(queue, *[10] * 5)
    take_one_a_second(queue, clock, 4)
    with pytest.raises(WaitTooLong):
        queue.put(make_job(range(10), deadline=clock.now + 0.1))
    queue.take(everyone)

    queue.put(make_job(range(10), deadline=clock.now + 0.1))
