"""What a job is told on its way: more and more tokens, none of which is taken back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.job import Job
from service.engine.loop import Engine
from tests.service.engine.driving import finish, random_jobs
from tests.service.engine.toy_runner import ENDLESS, LIMITS, ToyRunner, ignore, make_job

FEWER = settings(max_examples=settings().max_examples // 4)


def listen(job: Job) -> list[tuple[int, ...]]:
    told: list[tuple[int, ...]] = []
    job.on_tokens = told.append
    return told


def test_a_greedy_job_is_told_of_every_token(engine: Engine) -> None:
    job = make_job((ENDLESS,), max_target_tokens=5)
    told = listen(job)
    engine.submit(job)

    [result] = finish(engine, job)

    token_ids = result.hypotheses[0].token_ids
    assert told == [token_ids[:count] for count in range(1, 5)]  # the last comes with the result


@FEWER
@given(st.integers(0, 2**32))
def test_what_is_told_is_what_the_best_hypothesis_begins_with(seed: int) -> None:
    engine = Engine(ToyRunner(), LIMITS, on_step=ignore)
    jobs = random_jobs(seed, 8)
    told = [listen(job) for job in jobs]
    for job in jobs:
        engine.submit(job)

    for job, steps, result in zip(jobs, told, finish(engine, *jobs), strict=True):
        best = result.hypotheses[0].token_ids
        assert all(best[: len(step)] == step for step in steps)
        assert [len(step) for step in steps] == sorted({len(step) for step in steps})
        assert () not in steps
        assert job.options.beam_size > 1 or len(steps) >= len(best) - 1


def test_a_wide_beam_settles_before_its_end() -> None:
    """Else nothing would ever be streamed but greedy translations."""
    engine = Engine(ToyRunner(), LIMITS, on_step=ignore)
    jobs = [make_job((n, ENDLESS), beam_size=2, max_target_tokens=40) for n in range(4, 12)]
    told = [listen(job) for job in jobs]
    for job in jobs:
        engine.submit(job)

    finish(engine, *jobs)

    assert any(told)
