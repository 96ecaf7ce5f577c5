"""A report is what a step counted, and nothing in it can change afterwards."""

import dataclasses

import pytest

from service.engine.report import StepReport
from service.engine.worker import _Tally


def test_a_report_has_every_count_of_a_step() -> None:
    counted = {field.name for field in dataclasses.fields(_Tally)}

    reported = {field.name for field in dataclasses.fields(StepReport)}

    assert reported == counted


def test_a_report_is_final() -> None:
    report = StepReport(**vars(_Tally()))

    with pytest.raises(dataclasses.FrozenInstanceError):
        report.rows = 1  # type: ignore[misc]
