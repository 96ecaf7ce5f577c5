"""Every way to leave the engine but the usual one: dropped, refused, failed, drained."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.engine.job import Job, JobState
from service.engine.loop import Engine
from service.engine.report import StepReport
from service.errors import (
    DeadlineExceeded,
    EngineFailure,
    EngineStopped,
    QueueFull,
    RequestCancelled,
    SegmentTooLong,
)
from tests.service.engine.driving import (
    WAIT_SECONDS,
    StartEngine,
    error_of,
    finish,
    random_jobs,
    run_alone,
    step,
)
from tests.service.engine.toy_runner import (
    ENDLESS,
    LIMITS,
    ToyRunner,
    ignore,
    make_job,
)


def test_a_cancelled_job_frees_its_slots_at_the_next_step(engine: Engine) -> None:
    job, other = make_job((ENDLESS,), beam_size=4), make_job((ENDLESS, 4))
    engine.submit(job)
    engine.submit(other)
    step(engine)
    step(engine)

    job.cancel()
    report = step(engine)

    assert (report.dropped, report.wasted_tokens, report.rows) == (1, 1 + 4, 1)
    assert isinstance(error_of(job), RequestCancelled)
    assert job.state is JobState.FAILED
    assert engine.workers[0].num_rows == 1


def test_a_job_cancelled_while_it_waits_is_never_encoded(engine: Engine, runner: ToyRunner) -> None:
    job = make_job()
    engine.submit(job)
    job.cancel()

    report = step(engine)

    assert (report.dropped, report.wasted_tokens, engine.occupancy.queue_tokens) == (1, 0, 0)
    assert isinstance(error_of(job), RequestCancelled)
    assert runner.encoded == []


@pytest.mark.parametrize("is_running", [False, True])
def test_a_job_past_its_deadline_is_dropped_with_both_times(
    engine: Engine, is_running: bool
) -> None:
    job = make_job((ENDLESS,))
    engine.submit(job)
    if is_running:
        step(engine)
    job.submitted_at, job.deadline = time.monotonic() - 10.0, time.monotonic() - 7.5

    report = step(engine)

    error = error_of(job)
    assert isinstance(error, DeadlineExceeded)
    assert error.limit == pytest.approx(2.5, abs=0.5)
    assert error.value == pytest.approx(10.0, abs=1.0)
    assert report.dropped == 1
    assert engine.workers[0].num_rows == 0


def test_a_future_that_its_owner_cancelled_disturbs_nobody(engine: Engine) -> None:
    job, other = make_job(), make_job((8, 9))
    engine.submit(job)
    engine.submit(other)
    job.future.cancel()

    [result] = finish(engine, other)

    assert result.hypotheses == run_alone(other).hypotheses


def test_a_full_queue_refuses_with_both_numbers(engine: Engine) -> None:
    for _ in range(101):
        engine.submit(make_job([5] * 99))

    with pytest.raises(QueueFull) as caught:
        engine.submit(make_job([5] * 99))

    assert (caught.value.value, caught.value.limit) == (10_098, 10_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 9}, "beam_size 9; limit 8"),
        ({"max_target_tokens": 301}, "max_target_tokens 301; limit 300"),
    ],
)
def test_options_beyond_the_limits_are_refused(
    engine: Engine, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        engine.submit(make_job(**options))  # type: ignore[arg-type]


def test_a_beam_that_could_never_get_enough_slots_is_refused(runner: ToyRunner) -> None:
    engine = Engine(runner, replace(LIMITS, max_slots=4), on_step=ignore)

    with pytest.raises(ValueError, match="beam_size 5; limit 4"):
        engine.submit(make_job(beam_size=5))


def test_a_segment_beyond_the_limit_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(SegmentTooLong) as caught:
        engine.submit(make_job([5] * 101))

    assert (caught.value.value, caught.value.limit) == (101, 100)


def test_a_failing_encoder_fails_only_the_jobs_of_its_batch(
    engine: Engine, runner: ToyRunner
) -> None:
    runner.poison = 13
    running = make_job((ENDLESS,), max_target_tokens=8)
    engine.submit(running)
    step(engine)
    batch = [make_job((5, 13)), make_job((6, 7))]
    for job in batch:
        engine.submit(job)

    report = step(engine)

    assert (report.failed, report.admitted, report.rows) == (2, 0, 1)
    for job in batch:
        assert isinstance(error_of(job), EngineFailure)
    later = make_job((6, 7))
    engine.submit(later)
    for job, result in zip((running, later), finish(engine, running, later), strict=True):
        assert result.hypotheses == run_alone(job).hypotheses
    assert engine.is_healthy


def test_a_failing_decoder_fails_what_runs_and_the_engine_goes_on(
    engine: Engine, runner: ToyRunner
) -> None:
    running = [make_job((ENDLESS, n), beam_size=2) for n in range(3)]
    for job in running:
        engine.submit(job)
    step(engine)
    waiting = make_job((6, 7), beam_size=4)

    def fail() -> None:
        raise RuntimeError("out of memory")

    runner.on_decode = fail
    report = step(engine)
    runner.on_decode = lambda: None
    engine.submit(waiting)

    assert (report.failed, report.finished) == (3, 0)
    for job in running:
        assert isinstance(error_of(job), EngineFailure)
        assert "out of memory" in str(error_of(job))
    [result] = finish(engine, waiting)
    assert result.hypotheses == run_alone(waiting).hypotheses
    assert engine.is_healthy


def assert_lost(engine: Engine, jobs: Sequence[Job]) -> None:
    """The engine has said that it does not know its state, and all jobs know it."""
    for job in jobs:
        assert isinstance(error_of(job), EngineFailure)
        assert "lost its state" in str(error_of(job))
    assert engine.drain(WAIT_SECONDS)
    assert not engine.is_healthy
    with pytest.raises(EngineStopped):
        engine.submit(make_job())


def test_a_bug_in_on_step_fails_running_and_waiting_jobs(
    start: StartEngine,
) -> None:
    submitted = threading.Event()

    def on_step(_report: StepReport) -> None:
        submitted.wait(WAIT_SECONDS)
        raise KeyError("a bug")

    engine = start(on_step)
    jobs = [make_job((ENDLESS,), beam_size=8) for _ in range(5)]  # two run, three wait
    for job in jobs:
        engine.submit(job)
    submitted.set()

    assert_lost(engine, jobs)


def test_a_bug_while_a_job_joins_fails_that_job_too(
    start: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(*_arguments: object) -> list[int]:
        raise MemoryError("no room")

    monkeypatch.setattr("service.engine.slots.SlotTable.allocate", allocate)
    engine = start()
    job = make_job()
    engine.submit(job)

    assert_lost(engine, [job])


def test_a_bug_while_an_answer_is_made_fails_that_job_too(
    start: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hypotheses(_search: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("service.engine.search.SeparateSearch.hypotheses", hypotheses)
    engine = start()
    job = make_job()
    engine.submit(job)

    assert_lost(engine, [job])


def test_draining_finishes_what_is_in_and_takes_no_more(start: StartEngine) -> None:
    engine = start()
    jobs = random_jobs(1, 30)
    for job in jobs:
        engine.submit(job)

    assert engine.drain(WAIT_SECONDS)

    for job in jobs:
        assert job.future.result(0).hypotheses == run_alone(job).hypotheses
    with pytest.raises(EngineStopped):
        engine.submit(make_job())
    assert engine.is_healthy


def test_draining_an_idle_engine_ends_it(start: StartEngine) -> None:
    assert start().drain(WAIT_SECONDS)


def test_what_is_not_drained_in_time_is_dropped(start: StartEngine, runner: ToyRunner) -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()

    def on_decode() -> None:
        has_begun.set()
        may_go_on.wait(WAIT_SECONDS)

    runner.on_decode = on_decode
    engine = start()
    jobs = [make_job((ENDLESS,), beam_size=8, max_target_tokens=300) for _ in range(4)]
    for job in jobs:
        engine.submit(job)
    assert has_begun.wait(WAIT_SECONDS)
    threading.Timer(0.05, may_go_on.set).start()

    assert not engine.drain(0.0)

    for job in jobs:
        assert isinstance(error_of(job), RequestCancelled)
    assert engine.drain(WAIT_SECONDS)
