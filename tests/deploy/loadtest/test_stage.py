"""Rates, percentiles and counts of one load."""

import pytest

from deploy.loadtest.stage import Stage
from tests.deploy.loadtest.stages import a_stage, replies


@pytest.fixture
def stage() -> Stage:
    return a_stage(
        2.0,
        replies(50, 0.5),
        replies(20, 3.0),
        replies(10, 0.5, ended_at=10.5),
        replies(15, 0.02, outcome="429"),
        replies(5, 0.02, outcome="500"),
    )


def test_rates_are_of_the_time_in_which_users_came(stage: Stage) -> None:
    assert stage.offered == 10.0
    assert stage.answered == 7.0
    assert stage.goodput == 5.0


def test_latency_is_of_translations_and_refusals_are_apart(stage: Stage) -> None:
    assert stage.latencies == pytest.approx({50: 0.5, 95: 3.0, 99: 3.0})
    assert stage.refusal_p95 == pytest.approx(0.02)


def test_who_got_nothing_is_counted_by_what_came_instead(stage: Stage) -> None:
    assert stage.unanswered == {"429": 15, "500": 5}
    assert stage.num_errors == 5


def test_a_stage_of_nobody_has_no_times() -> None:
    stage = a_stage(1.0)

    assert (stage.offered, stage.latencies, stage.refusal_p95, stage.lag_p95) == (0, None, None, 0)
