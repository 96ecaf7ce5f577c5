"""Turns: by age for one request, and otherwise fair to clients and to requests."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.engine.fair_order import FairOrder
from service.engine.job import Job
from tests.service.engine.toy_runner import make_job


def job_of(client: str, request: int = 0, tokens: int = 10, beam_size: int = 1) -> Job:
    return replace(
        make_job(range(tokens), beam_size=beam_size), client=client, request=(client, request)
    )


def add(order: FairOrder, *jobs: Job) -> None:
    for job in jobs:
        order.add(job)


def take(order: FairOrder, count: int) -> list[Job]:
    return [order.pop() for _ in range(count)]


def test_jobs_of_one_request_come_by_age() -> None:
    order, jobs = FairOrder(), [job_of("a", tokens=tokens) for tokens in (9, 1, 5)]
    add(order, *jobs)

    assert take(order, 3) == jobs
    assert order.first() is None


def test_a_client_with_one_job_does_not_wait_for_one_with_a_thousand() -> None:
    order = FairOrder()
    add(order, *(job_of("many", request) for request in range(1_000)))
    take(order, 10)
    one = job_of("one")
    add(order, one)

    assert one in take(order, 2)


def test_a_sentence_does_not_wait_for_a_document_of_the_same_client() -> None:
    order = FairOrder()
    add(order, *(job_of("proxy", request=1) for _ in range(1_000)))
    take(order, 10)
    sentence = job_of("proxy", request=2)
    add(order, sentence)

    assert sentence in take(order, 2)


def test_clients_get_equal_shares_of_the_work_and_not_of_the_turns() -> None:
    order = FairOrder()
    for number in range(300):
        add(order, job_of("long", number, tokens=30), job_of("short", number, tokens=10))
        add(order, job_of("wide", number, tokens=10, beam_size=2))

    work: Counter[str] = Counter()
    for job in take(order, 330):
        work[job.client] += job.cost

    assert max(work.values()) - min(work.values()) <= 30


def test_who_was_away_has_saved_nothing_up() -> None:
    order = FairOrder()
    add(order, job_of("back"), *(job_of("busy", number) for number in range(100)))
    take(order, 60)
    add(order, *(job_of("back", number) for number in range(100)))

    clients = Counter(job.client for job in take(order, 20))

    assert abs(clients["back"] - clients["busy"]) <= 1


def test_jobs_that_are_taken_out_leave_the_others_their_turns() -> None:
    order = FairOrder()
    jobs = [job_of("ab"[number % 2], number) for number in range(10)]
    add(order, *jobs)

    assert order.take_all(lambda job: job.client == "a" or job in jobs[5:]) == [
        job for job in jobs if job.client == "a" or job in jobs[5:]
    ]
    assert take(order, len(order)) == [jobs[1], jobs[3]]


def test_requests_that_are_through_are_forgotten_while_their_client_goes_on() -> None:
    """A gateway is never without a waiting request."""
    order = FairOrder()
    add(order, *(job_of("gateway", number) for number in range(50)))

    take(order, 49)

    [client] = order._clients.values()
    assert list(client._ends) == [("gateway", 49)]


@given(st.integers(0, 2**32))
def test_every_job_has_its_turn_once_and_nothing_is_remembered_after_it(seed: int) -> None:
    generator, order = random.Random(seed), FairOrder()
    jobs = [
        job_of(generator.choice("abc"), generator.randint(0, 3), generator.randint(1, 50))
        for _ in range(40)
    ]
    seen: list[Job] = []
    for job in jobs:
        order.add(job)
        if generator.random() < 0.4:
            assert order.first() is not None
            seen.append(order.pop())
        if generator.random() < 0.1:
            seen += order.take_all(lambda _job: generator.random() < 0.3)
    seen += take(order, len(order))

    assert sorted(map(id, seen)) == sorted(map(id, jobs))
    assert not order._clients


@given(st.integers(0, 2**32))
def test_a_waiting_job_is_passed_by_a_bounded_amount_of_work(seed: int) -> None:
    """However many others keep coming; else it might wait for ever."""
    generator, order = random.Random(seed), FairOrder()
    add(order, *(job_of("crowd", number, 50) for number in range(20)))
    patient = job_of("patient", tokens=50)
    order.add(patient)
    passed = 0
    while (job := order.pop()) is not patient:
        passed += job.cost
        client = f"new {generator.randint(0, 5)}"
        add(order, job_of(client, generator.randint(0, 10**6), generator.randint(1, 50)))

    assert passed <= 7 * 2 * 50  # at most two jobs of each client
