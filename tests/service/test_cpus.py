import os
from pathlib import Path

import pytest

from service.cpus import available_cpus


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_control_group_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == 8


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("250000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 8), ("9900000 100000", 8)],
)
def test_the_quota_of_version_2_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "cpu.max", quota)

    assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 8)])
def test_the_quota_of_version_1_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "cpu/cpu.cfs_quota_us", quota)
    write(tmp_path / "cpu/cpu.cfs_period_us", "100000")

    assert available_cpus(tmp_path) == expected
