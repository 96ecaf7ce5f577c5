"""Driving an engine step by step, on the test's own thread."""

import random
from collections.abc import Callable
from typing import Any

from service.engine.invariants import check_invariants
from service.engine.job import Job, JobResult
from service.engine.loop import Engine
from service.engine.options import Sampling
from service.engine.report import StepReport
from tests.service.engine.toy_runner import (
    LIMITS,
    SILENT_IDS,
    VOCAB_SIZE,
    ToyRunner,
    ignore,
    make_job,
)

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
    """Jobs that ask for all kinds of things."""
    generator = random.Random(seed)
    return [
        make_job(
            generator.choices(range(4, 19), k=generator.choice([1, 3, 8, 35, 90])),
            **random_search(generator),
            **random_rules(generator),
        )
        for _ in range(count)
    ]


def random_search(generator: random.Random) -> dict[str, Any]:
    beam_size = generator.choice([1, 1, 1, 2, 3, 5, 8])
    max_target_tokens = generator.choice([1, 2, 10, 40])
    prefix_length = min(generator.choice([0, 0, 1, 5]), max_target_tokens - 1)
    kinds: list[dict[str, Any]] = [
        {},
        {"return_alternatives": True},
        {"sampling": random_sampling(generator)},
    ]
    return {
        "beam_size": beam_size,
        "num_hypotheses": generator.randint(1, beam_size),
        "length_penalty": generator.choice([0.0, 0.6, 1.0, 1.5]),
        "length_penalty_formula": generator.choice(["plain", "gnmt"]),
        "max_target_tokens": max_target_tokens,
        "target_prefix": tuple(generator.choices(range(4, VOCAB_SIZE), k=prefix_length)),
        **generator.choice([{}, {}, *kinds]),
    }


def random_sampling(generator: random.Random) -> Sampling:
    return Sampling(
        seed=generator.getrandbits(64),
        temperature=generator.choice([0.3, 1.0, 2.0]),
        top_k=generator.choice([0, 0, 1, 5]),
        top_p=generator.choice([0.3, 0.9, 1.0]),
    )


def random_rules(generator: random.Random) -> dict[str, Any]:
    """A few of the rules, often none."""
    tokens = range(4, VOCAB_SIZE)
    rules = {
        "min_target_tokens": generator.randint(0, 1),
        "repetition_penalty": generator.choice([0.8, 1.2, 2.0]),
        "no_repeat_ngram_size": generator.randint(1, 4),
        "suppressed_sequences": tuple(
            tuple(generator.choices(tokens, k=generator.randint(1, 3))) for _ in range(4)
        ),
        "silent_ids": SILENT_IDS,
    }
    return {name: rule for name, rule in rules.items() if generator.random() < 0.3}
