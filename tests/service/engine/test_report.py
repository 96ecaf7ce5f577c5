"""A report is what a step counted, and nothing in it can change afterwards."""

import dataclasses

import pytest

from service.engine.report import StepReport
from service.engine.worker import _Tally


def test_a_report_has_every_count_of_a_step_and_the_queue() -> None:
    counted = {field.name for field in dataclasses.fields(_Tally)}

    reported = {field.name for field in dataclasses.fields(StepReport)}

    assert reported == counted | {"queue_segments", "queue_tokens"}


def test_a_report_is_final() -> None:
    report = StepReport(**vars(_Tally()), queue_segments=0, queue_tokens=0)

    with pytest.raises(dataclasses.FrozenInstanceError):
        report.rows = 1  # type: ignore[misc]
