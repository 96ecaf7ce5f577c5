"""The check on a GPU, run on the CPU: all its parts work, and find what is true there."""

import time

import pytest

from deploy.bench.cuda_equality import KINDS, measure_equality
from deploy.bench.cuda_placement import measure_placement
from deploy.bench.cuda_speed import Case, make_cases, measure_speed
from deploy.bench.cuda_subject import Subject, write_graphs
from tests.bundles import sources, tiny_checkpoint


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    made = Subject(
        name="tiny",
        device="cpu",
        loaded=tiny_checkpoint(),
        sources=sources(10),
        folder=tmp_path_factory.mktemp("cuda") / "tiny",
    )
    write_graphs(made)
    return made


def test_every_node_is_placed(subject: Subject) -> None:
    found = measure_placement(subject)

    for part in ("encoder", "decoder"):
        placed = found[f"{part} providers"]
        assert placed.keys() == {"CPUExecutionProvider"}
        assert sum(found[f"{part} on the CPU"].values()) == placed["CPUExecutionProvider"]
    assert found["decoder on the CPU"]["GroupQueryAttention"] == 2


def test_company_and_order_make_no_difference(subject: Subject) -> None:
    found = measure_equality(subject)

    assert len(found) == 2 * len(KINDS) + 2
    tokens = found.pop("greedy, tokens = float32 on the CPU")
    assert set(found.values()) == {"10/10"}
    same, count = map(int, tokens.split("/"))
    assert 0 < same <= count  # random weights prefer no token clearly


def test_few_sentences_are_also_timed_in_an_engine_for_many() -> None:
    cases = make_cases([1, 512], [2])

    assert cases == [(1, 1, 1), (512, 1, 512), (2, 4, 8), (1, 1, 256)]


def test_both_sides_are_timed_in_every_case(subject: Subject) -> None:
    cases = [Case(3, 1, 4), Case(1, 4, 4)]

    rows = measure_speed(subject, cases, deadline=time.monotonic() + 100)

    assert [(row["sentences"], row["beam"], row["slots"]) for row in rows] == cases
    for row in rows:
        assert row["rounds"] == 3
        assert row["tokens/s"] > 0
        assert row["torch tokens/s"] > 0


def test_nothing_is_measured_when_time_is_up(subject: Subject) -> None:
    assert measure_speed(subject, [Case(1, 1, 1)], deadline=time.monotonic()) == []
