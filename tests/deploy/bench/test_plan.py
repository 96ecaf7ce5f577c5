"""From a command line to what is measured."""

from dataclasses import fields
from pathlib import Path

import pytest

from deploy.bench.peers import Setup
from deploy.bench.plan import FULL, QUICK, Plan, parse


def test_nothing_said_is_the_quick_plan() -> None:
    assert parse([]) == QUICK
    assert parse(["--full"]) == FULL


def test_every_field_of_a_plan_can_be_chosen() -> None:
    chosen = Plan(
        parts=("offline", "machine"),
        subjects=("S", "B"),
        precisions=("float32",),
        workers=(2,),
        batches=(8, 64),
        beams=(4,),
        peers=("dragoman", "onnx loop"),
        laps=2,
        num_sentences=5,
        clients=(3,),
        seconds=1.5,
        sentences=Path("other.tsv"),
        output=Path("elsewhere"),
    )

    words = [*chosen.parts]
    for field in fields(Plan)[1:]:
        value = getattr(chosen, field.name)
        listed = value if isinstance(value, tuple) else (value,)
        words += [f"--{field.name.replace('_', '-')}", *map(str, listed)]

    assert parse(words) == chosen


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["offline", "upstairs"])

    assert "no part upstairs" in capsys.readouterr().err


def test_setups_are_all_combinations() -> None:
    plan = Plan(precisions=("int8",), workers=(1, 2), batches=(1, 16), beams=(4,))

    assert list(plan.setups()) == [
        Setup(precision="int8", num_workers=workers, batch_size=batch, beam_size=4)
        for workers in (1, 2)
        for batch in (1, 16)
    ]
