"""The command line and the plan that it makes."""

from dataclasses import fields
from pathlib import Path

import pytest

from deploy.loadtest.plan import HELP, Plan, parse
from deploy.loadtest.thresholds import Thresholds


def test_nothing_given_is_the_default_and_ends_within_ten_minutes() -> None:
    plan = parse([])

    assert plan == Plan()
    closed = len(plan.users) * plan.closed_seconds
    assert closed + len(plan.shares) * (plan.seconds + plan.patience_seconds) < 600


def test_plan_and_thresholds_are_read() -> None:
    plan = parse(
        [
            "--url",
            "http://h:1",
            "--shares",
            "1",
            "2.5",
            "--capacity",
            "7",
            "--output",
            "x",
            "--max-errors",
            "3",
        ]
    )

    assert (plan.url, plan.shares, plan.capacity) == ("http://h:1", (1.0, 2.5), 7.0)
    assert plan.output == Path("x")
    assert plan.thresholds == Thresholds(max_errors=3)


@pytest.mark.parametrize("wrong", ["--seconds 0", "--users -1", "--capacity inf", "--shares nan"])
def test_loads_are_above_zero_and_bounded(wrong: str) -> None:
    with pytest.raises(SystemExit):
        parse(wrong.split())


def test_every_field_is_explained() -> None:
    names = {field.name for field in (*fields(Plan), *fields(Thresholds))}

    assert names - {"thresholds"} == HELP.keys()
