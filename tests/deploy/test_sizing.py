"""The simulation of replicas against what can be said without one."""

import random
from pathlib import Path

import pytest

from deploy.sizing.simulate import (
    Costs,
    Load,
    Outcome,
    cost_per_million_characters,
    main,
    read_costs,
    run_worker,
    simulate,
)
from service.engine import limits
from service.settings import Settings

MEASURED = Path(__file__).parents[2] / "deploy/sizing/measured.json"
COSTS = Costs(
    step_seconds=((4, 0.010), (32, 0.024)),
    encode_seconds_per_token=0.001,
    beam_size=4,
    source_tokens=10.0,
    num_steps=20.0,
    characters=50.0,
)


@pytest.mark.parametrize(
    ("rows", "seconds"), [(1, 0.010), (4, 0.010), (18, 0.017), (32, 0.024), (46, 0.031)]
)
def test_steps_between_measured_ones_are_on_a_line(rows: int, seconds: float) -> None:
    assert COSTS.step(rows) == pytest.approx(seconds)


def test_the_capacity_is_that_of_full_slots() -> None:
    # 8 sentences take 20 steps of 24 ms together, and 10 ms each to encode.
    assert COSTS.worker_capacity(32) == pytest.approx(8 / (20 * 0.024 + 8 * 0.010))


def test_a_sentence_that_is_alone_takes_its_encoding_and_its_steps() -> None:
    outcome = Outcome()

    run_worker(COSTS, Load(rate=0.01, seconds=20_000), random.Random(3), outcome)

    assert outcome.arrived == len(outcome.latencies) > 100
    mean = sum(outcome.latencies) / len(outcome.latencies)
    assert mean == pytest.approx(0.010 + 20 * 0.010, rel=0.15)


def test_nobody_is_lost() -> None:
    outcome = Outcome()
    load = Load(rate=60.0, seconds=100.0, queue_tokens=1_000, timeout_seconds=5.0)

    run_worker(COSTS, load, random.Random(5), outcome)

    assert outcome.refused > 0
    assert outcome.late > 0
    assert outcome.arrived == outcome.refused + outcome.late + len(outcome.latencies)


def test_work_that_came_too_late_to_begin_is_not_done() -> None:
    outcome = simulate(COSTS, rate=60.0, replicas=1, workers=1, seconds=100.0)

    assert outcome.late > outcome.arrived / 4
    assert outcome.worker_seconds < 100.0 + 2 * Load.timeout_seconds


def test_more_than_the_capacity_is_never_done() -> None:
    outcome = simulate(COSTS, rate=500.0, replicas=1, workers=1, seconds=60.0)

    assert outcome.busy_seconds == pytest.approx(outcome.worker_seconds, rel=0.01)
    done = len(outcome.latencies) / outcome.worker_seconds
    assert 0.5 * COSTS.worker_capacity(32) < done < 1.05 * COSTS.worker_capacity(32)


def test_more_replicas_answer_a_load_sooner_and_dearer() -> None:
    one, three = (
        simulate(COSTS, rate=20.0, replicas=replicas, workers=1, seconds=120.0)
        for replicas in (2, 6)
    )

    assert three.percentile(0.95) < one.percentile(0.95)
    cheap, dear = (cost_per_million_characters(out, COSTS, 0.04) for out in (one, three))
    assert dear == pytest.approx(3 * cheap, rel=0.1)


def test_the_same_seed_gives_the_same_outcome() -> None:
    first, second, other = (
        simulate(COSTS, rate=20.0, replicas=2, workers=1, seconds=20.0, seed=seed)
        for seed in (1, 1, 2)
    )

    assert first == second != other


def test_the_defaults_are_those_of_the_service() -> None:
    settings, load = Settings(), Load(rate=1.0, seconds=1.0)

    assert load.slots == settings.slots
    assert load.queue_tokens == settings.max_queue_tokens
    assert load.timeout_seconds == settings.timeout_seconds
    assert limits.ENCODE_TOKENS == 256


def test_what_was_measured_is_a_line_for_each_number_of_replicas(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--rate", "2", "--replicas", "1", "3", "--seconds", "5"]

    assert main([str(MEASURED), *arguments]) == 0

    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [cells[0] for cells in lines[2:]] == ["1", "3"]
    assert len({len(cells) for cells in lines}) == 1


def test_larger_steps_cost_more_and_each_row_of_them_less() -> None:
    costs = read_costs(MEASURED)
    seconds = [cost for _, cost in costs.step_seconds]
    per_row = [cost / rows for rows, cost in costs.step_seconds]

    assert min(seconds) > 0
    assert seconds[0] < seconds[-1]
    assert per_row[-1] < per_row[0]
