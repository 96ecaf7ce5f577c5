"""The engine on a toy model: any company and any order of arrival change nothing."""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.job import Job, JobState
from service.engine.loop import Engine
from service.engine.report import StepReport
from service.errors import ServiceError
from tests.service.engine.driving import (
    WAIT_SECONDS,
    StartEngine,
    finish,
    random_jobs,
    run_alone,
    step,
)
from tests.service.engine.toy_runner import (
    BOS_ID,
    ENDLESS,
    LIMITS,
    ToyRunner,
    greedy,
    ignore,
    make_job,
)


@pytest.mark.parametrize("source", [(5, 6, 7), (ENDLESS, 4), (8,)])
def test_a_greedy_translation_is_that_of_a_plain_loop(
    engine: Engine, source: tuple[int, ...]
) -> None:
    job = make_job(source, max_target_tokens=40, length_penalty=0.6)
    engine.submit(job)

    [result] = finish(engine, job)

    wanted = greedy(source, 40, 0.6)
    assert result.hypotheses[0].token_ids == wanted.token_ids
    assert result.hypotheses[0].finish_reason == wanted.finish_reason
    assert result.hypotheses[0].score == pytest.approx(wanted.score)


# An example decodes some hundred tokens twice, so there are fewer of them.
FEWER = settings(max_examples=settings().max_examples // 4)


@FEWER
@given(
    st.integers(0, 2**32), st.lists(st.integers(0, 12), min_size=1, max_size=12), st.integers(1, 3)
)
def test_company_order_of_arrival_and_workers_change_no_result(
    seed: int, arrivals: list[int], num_workers: int
) -> None:
    engine = Engine(ToyRunner(), replace(LIMITS, num_workers=num_workers), on_step=ignore)
    jobs = random_jobs(seed, len(arrivals))

    for number in range(max(arrivals) + 1):
        for job, arrival in zip(jobs, arrivals, strict=True):
            if arrival == number:
                engine.submit(job)
        step(engine)
    results = finish(engine, *jobs)

    for job, result in zip(jobs, results, strict=True):
        assert result.hypotheses == run_alone(job).hypotheses
        assert job.state is JobState.FINISHED
    assert [worker.num_rows for worker in engine.workers] == [0] * num_workers


@FEWER
@given(st.integers(0, 2**32))
def test_jobs_that_are_dropped_on_the_way_change_no_other_result(seed: int) -> None:
    engine, generator = Engine(ToyRunner(), LIMITS, on_step=ignore), random.Random(seed)
    jobs = random_jobs(seed, 10)
    dropped = generator.sample(jobs, 4)
    for job in jobs:
        engine.submit(job)

    for job in dropped:
        step(engine)
        if generator.random() < 0.5:
            job.cancel()
        else:
            job.deadline = 0.0
    kept = [job for job in jobs if job not in dropped]

    for job, result in zip(kept, finish(engine, *kept), strict=True):
        assert result.hypotheses == run_alone(job).hypotheses


def test_segments_join_while_others_are_decoded_and_leave_before_them(engine: Engine) -> None:
    long, short = (make_job((ENDLESS,), max_target_tokens=limit) for limit in (10, 2))
    engine.submit(long)
    reports = [step(engine), step(engine)]
    engine.submit(short)
    reports += [step(engine), step(engine)]

    assert short.future.done()
    assert not long.future.done()
    assert [report.rows for report in reports] == [1, 1, 2, 2]
    assert [report.admitted for report in reports] == [1, 0, 1, 0]
    assert [report.finished for report in reports] == [0, 0, 0, 1]
    assert step(engine).rows == 1


def test_a_segment_of_many_slots_is_not_overtaken(engine: Engine) -> None:
    endless = [make_job((ENDLESS,), max_target_tokens=20 + n) for n in range(12)]
    wide, late = make_job(beam_size=8), make_job(max_target_tokens=1)
    for job in (*endless, wide, late):
        engine.submit(job)

    step(engine)

    assert [job.state for job in (wide, late)] == [JobState.WAITING] * 2
    finish(engine, wide, late)


def test_sources_beyond_the_encoder_budget_are_encoded_in_later_steps(
    engine: Engine, runner: ToyRunner
) -> None:
    jobs = [make_job([ENDLESS] * 100, max_target_tokens=5) for _ in range(3)]
    for job in jobs:
        engine.submit(job)

    first = step(engine)
    waiting = engine.occupancy
    second = step(engine)

    assert [first.padding_tokens, second.padding_tokens] == [0, 0]
    assert [first.source_tokens, second.source_tokens] == [200, 100]
    assert [len(batch) for batch in runner.encoded] == [2, 1]
    assert (waiting.queue_segments, waiting.queue_tokens) == (1, 100)


def test_shorter_sources_are_padded_to_the_longest_beside_them(engine: Engine) -> None:
    for length in (3, 10, 4):
        engine.submit(make_job([5] * length, max_target_tokens=1))

    report = step(engine)

    assert (report.source_tokens, report.padding_tokens) == (17, 13)


def test_memory_bounds_the_rows_beside_a_long_one(runner: ToyRunner) -> None:
    engine = Engine(runner, replace(LIMITS, max_cache_tokens=1_024), on_step=ignore)
    for limit in (300, 20, 20):
        engine.submit(make_job((ENDLESS,), max_target_tokens=limit))

    step(engine)

    assert engine.workers[0].num_rows == 2  # 512 tokens each
    assert engine.occupancy.cache_bytes <= 2 * 1_024 * 2 * 2 * 4  # two caches of keys and values


def test_the_longest_segment_and_the_longest_translation_are_taken(engine: Engine) -> None:
    source = [ENDLESS] * LIMITS.max_source_tokens
    job = make_job(source, max_target_tokens=LIMITS.max_target_tokens)
    engine.submit(job)

    [result] = finish(engine, job)

    assert len(result.hypotheses[0].token_ids) == LIMITS.max_target_tokens
    assert result.hypotheses[0].finish_reason == "length"
    assert result.num_steps == LIMITS.max_target_tokens
    assert result.hypotheses == (greedy(source, LIMITS.max_target_tokens),)


def test_a_result_tells_where_the_time_went(engine: Engine) -> None:
    job = make_job((ENDLESS,), max_target_tokens=3)
    started = time.monotonic()
    engine.submit(job)

    [result] = finish(engine, job)

    assert result.num_steps == 3
    assert result.queue_seconds >= 0
    assert result.decode_seconds > 0
    assert result.queue_seconds < result.first_token_seconds
    assert result.first_token_seconds < result.queue_seconds + result.decode_seconds
    assert result.seconds_per_token and 0 < result.seconds_per_token < result.decode_seconds
    assert result.queue_seconds + result.decode_seconds <= time.monotonic() - job.submitted_at
    assert job.submitted_at <= started


def test_an_idle_step_does_nothing(engine: Engine, runner: ToyRunner) -> None:
    report = step(engine)

    assert report == StepReport(**dict.fromkeys(StepReport.__dataclass_fields__, 0))
    assert runner.encoded == []


def test_every_step_feeds_bos_first(engine: Engine, runner: ToyRunner) -> None:
    jobs = [make_job((n,), max_target_tokens=1) for n in range(4, 12)]
    for job in jobs:
        engine.submit(job)

    results = finish(engine, *jobs)

    assert runner.bos_id == BOS_ID
    for job, result in zip(jobs, results, strict=True):
        assert result.hypotheses == (greedy(job.source_ids, 1),)
    assert len(set(itertools.chain(*(r.hypotheses[0].token_ids for r in results)))) > 1


@pytest.mark.parametrize("num_workers", [1, 2])
def test_many_threads_get_the_answers_to_their_own_jobs(
    start: StartEngine, num_workers: int
) -> None:
    reports: list[StepReport] = []
    engine = start(reports.append, num_workers=num_workers)
    jobs = random_jobs(7, 200)
    errors: list[ServiceError] = []

    def submit(mine: Sequence[Job]) -> None:
        for job in mine:
            try:
                engine.submit(job)
                job.future.result(WAIT_SECONDS)
            except ServiceError as error:
                errors.append(error)

    threads = [threading.Thread(target=submit, args=[jobs[n::20]]) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.drain(WAIT_SECONDS)

    assert errors == []
    for job in jobs:
        assert job.future.result(0).hypotheses == run_alone(job).hypotheses
    assert sum(report.admitted for report in reports) == 200
    assert sum(report.finished for report in reports) == 200
    assert max(report.rows for report in reports) > 8  # they were decoded together
    assert max(report.rows for report in reports) <= LIMITS.max_slots
    lengths = [len(job.source_ids) for job in jobs]
    assert sum(report.source_tokens for report in reports) == sum(lengths)
