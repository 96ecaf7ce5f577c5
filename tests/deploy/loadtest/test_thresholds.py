"""Each bound is missed by its own fault, and by no other."""

import pytest

from deploy.loadtest.stage import Stage
from deploy.loadtest.thresholds import Thresholds
from tests.deploy.loadtest.stages import a_stage, replies

BOUNDS = Thresholds(quiet_p95_seconds=0.5, refusal_p95_seconds=0.05, goodput_share=0.8)
GOOD = [
    a_stage(None, replies(100, 0.9)),
    a_stage(0.5, replies(50, 0.4)),
    a_stage(1.0, replies(100, 0.9)),
    a_stage(5.0, replies(80, 0.9), replies(400, 0.04, outcome="429")),
]


def test_what_is_kept_is_not_complained_of() -> None:
    assert BOUNDS.missed(GOOD) == []


@pytest.mark.parametrize(
    ("stage", "complaint"),
    [
        (a_stage(0.25, replies(50, 0.6)), "0.25 x: p95 0.600 s, over 0.5 s"),
        (a_stage(0.25), "0.25 x: nothing was translated"),
        (
            a_stage(5.0, replies(80, 0.9), replies(1, 0.06, outcome="429")),
            "5.0 x: refused after 0.060 s at p95, over 0.05 s",
        ),
        (a_stage(5.0, replies(79, 0.9)), "5.0 x: goodput 7.9/s, under 8.0/s"),
        (a_stage(5.0, replies(80, 0.9), replies(9, 1.1)), None),
        (a_stage(0.9, replies(80, 0.9), replies(2, 0.1, outcome="500")), "0.9 x: 2 errors, over 0"),
    ],
)
def test_each_bound_is_told_with_its_load(stage: Stage, complaint: str | None) -> None:
    assert BOUNDS.missed([*GOOD, stage]) == ([complaint] if complaint else [])


def test_no_goodput_at_all_is_no_goodput_that_held() -> None:
    assert len(BOUNDS.missed([a_stage(1.0, replies(9, 2.0)), a_stage(2.0, replies(9, 2.0))])) == 2
