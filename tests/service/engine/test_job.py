"""The states a job goes through."""

import pytest

from service.engine.job import JobResult, JobState
from tests.service.engine.toy_runner import make_job


def test_a_job_lives_from_waiting_to_finished() -> None:
    job = make_job()
    states = [job.state]

    for state in (JobState.ENCODED, JobState.DECODING, JobState.FINISHED):
        job.advance_to(state)
        states.append(job.state)

    assert states == [state for state in JobState if state is not JobState.FAILED]


@pytest.mark.parametrize("num_moves", [0, 1, 2])
def test_a_job_may_fail_wherever_it_stands(num_moves: int) -> None:
    job = make_job()
    for state in (JobState.ENCODED, JobState.DECODING)[:num_moves]:
        job.advance_to(state)

    job.advance_to(JobState.FAILED)

    assert job.state is JobState.FAILED


@pytest.mark.parametrize("state", [JobState.DECODING, JobState.FINISHED])
def test_a_job_skips_no_state(state: JobState) -> None:
    with pytest.raises(AssertionError, match="This is a bug"):
        make_job().advance_to(state)


def test_what_has_failed_stays_so() -> None:
    job = make_job()
    job.advance_to(JobState.FAILED)

    for state in JobState:
        with pytest.raises(AssertionError, match="This is a bug"):
            job.advance_to(state)


def test_two_jobs_that_ask_the_same_are_two_jobs() -> None:
    assert make_job() != make_job()
    assert len({make_job(), make_job()}) == 2


@pytest.mark.parametrize(("num_steps", "seconds"), [(1, None), (2, 0.5), (6, 0.1)])
def test_the_time_of_a_token_is_that_of_the_steps_after_the_first(
    num_steps: int, seconds: float | None
) -> None:
    result = JobResult(
        hypotheses=(),
        queue_seconds=1.0,
        first_token_seconds=1.5,
        decode_seconds=1.0,
        num_steps=num_steps,
    )

    assert result.seconds_per_token == seconds
