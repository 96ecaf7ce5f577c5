"""Several workers: each its part of the rows, and none brought down by another."""

import threading
from dataclasses import replace

from service.engine.limits import GATHER_ROWS
from service.engine.loop import Engine
from service.engine.report import StepReport
from service.errors import EngineFailure
from tests.service.engine.driving import WAIT_SECONDS, error_of, run_alone, step
from tests.service.engine.toy_runner import ENDLESS, LIMITS, ToyRunner, ignore, make_job


def test_a_burst_is_shared_out_to_all_workers(runner: ToyRunner) -> None:
    engine = Engine(runner, replace(LIMITS, num_workers=2), on_step=ignore)
    for _ in range(9):
        engine.submit(make_job((ENDLESS,)))

    step(engine)

    assert [worker.num_rows for worker in engine.workers] == [5, 4]


def test_a_job_goes_to_the_worker_that_has_less_to_do(runner: ToyRunner) -> None:
    engine = Engine(runner, replace(LIMITS, num_workers=2), on_step=ignore)
    for _ in range(3):
        engine.submit(make_job((ENDLESS,)))
    step(engine)
    engine.submit(make_job((ENDLESS,)))

    step(engine)

    assert [worker.num_rows for worker in engine.workers] == [2, 2]


def test_a_worker_that_is_sound_finishes_its_job_beside_one_that_is_lost(
    runner: ToyRunner,
) -> None:
    other_runs = threading.Event()

    def on_step(_report: StepReport) -> None:
        if threading.current_thread().name == "worker-0":
            assert other_runs.wait(WAIT_SECONDS)
            raise KeyError("a bug")
        other_runs.set()

    engine = Engine(runner, replace(LIMITS, num_workers=2), on_step=on_step)
    jobs = [make_job((ENDLESS, n), max_target_tokens=20) for n in range(2)]
    for job in jobs:
        engine.submit(job)

    engine.start()

    assert engine.drain(WAIT_SECONDS)
    [sound] = [job for job in jobs if not isinstance(error_of(job), EngineFailure)]
    assert sound.future.result().hypotheses == run_alone(sound).hypotheses
    assert not engine.is_healthy


def test_jobs_that_come_one_by_one_are_encoded_together(runner: ToyRunner) -> None:
    engine = Engine(runner, LIMITS, on_step=ignore)
    for _ in range(GATHER_ROWS):
        engine.submit(make_job((ENDLESS,)))
    step(engine)

    admitted = []
    for number in range(5):
        engine.submit(make_job((ENDLESS, number)))
        admitted.append(step(engine).admitted)

    assert admitted == [0, 0, 0, 0, 5]  # 1 + 2 + 3 + 4 rows have stood idle by then
