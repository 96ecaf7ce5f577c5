"""Driving an engine step by step, on the test's own thread."""

import random
from collections.abc import Callable

from service.engine.invariants import check_invariants
from service.engine.job import Job, JobResult
from service.engine.loop import Engine
from service.engine.report import StepReport
from tests.service.engine.toy_runner import LIMITS, ToyRunner, ignore, make_job

WAIT_SECONDS = 60.0  # for a future that is sure to resolve

StartEngine = Callable[..., Engine]


def step(engine: Engine) -> StepReport:
    """One step of every worker; what the first one reports."""
    reports = []
    for worker in engine.workers:
        reports.append(worker.step())
        assert check_invariants(worker.snapshot()) == []
    return reports[0]


def finish(engine: Engine, *jobs: Job) -> list[JobResult]:
    """Step until all jobs are answered."""
    for _ in range(2_000):
        if all(job.future.done() for job in jobs):
            return [job.future.result() for job in jobs]
        step(engine)
    raise AssertionError("the engine does not get done")


def run_alone(job: Job) -> JobResult:
    engine = Engine(ToyRunner(), LIMITS, on_step=ignore)
    again = Job(source_ids=job.source_ids, options=job.options)
    engine.submit(again)
    [result] = finish(engine, again)
    return result


def error_of(job: Job) -> BaseException | None:
    return job.future.exception(timeout=WAIT_SECONDS)


def random_jobs(seed: int, count: int) -> list[Job]:
    generator = random.Random(seed)
    jobs = []
    for _ in range(count):
        beam_size = generator.choice([1, 1, 1, 2, 3, 5, 8])
        jobs.append(
            make_job(
                generator.choices(range(4, 19), k=generator.choice([1, 3, 8, 35, 90])),
                beam_size=beam_size,
                num_hypotheses=generator.randint(1, beam_size),
                length_penalty=generator.choice([0.0, 0.6, 1.0, 1.5]),
                max_target_tokens=generator.choice([1, 2, 10, 40]),
            )
        )
    return jobs
