"""What a container may use, from control groups of both versions as files."""

import json
import math
import os
from pathlib import Path

import pytest

from service.machine import available_cpus, read_machine

HOST_MEMORY_BYTES = 16 * 2**30
GROUP_1 = "9:name=systemd:/\n4:memory:/pod/box\n3:cpuset:/pod/box\n1:cpu,cpuacct:/pod/box\n0::/\n"
GROUP_2 = "0::/pod/box\n"


@pytest.fixture(autouse=True)
def _host_of_eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PHYS_PAGES": HOST_MEMORY_BYTES // 4_096, "SC_PAGE_SIZE": 4_096}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)


def write(root: Path, **files: str) -> None:
    """Write files below `root`; in their names `__` stands for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_groups(root: Path, membership: str, **files: str) -> None:
    """Write the files of control groups, by their names, in which `_DOT_` stands for a dot."""
    write(root, proc__self__cgroup=membership)
    write(root, **{f"sys__fs__cgroup__{k.replace('_DOT_', '.')}": v for k, v in files.items()})


def test_without_a_control_group_everything_counts(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)

    assert (machine.cpus, machine.cpuset, machine.cpu_quota) == (8, "", math.inf)
    assert machine.memory_limit_bytes is None
    assert machine.memory_bytes == HOST_MEMORY_BYTES


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("250000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 8), ("9900000 100000", 8)],
)
def test_the_quota_of_version_2_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write_groups(tmp_path, "0::/\n", cpu_DOT_max=quota)

    assert read_machine(tmp_path).cpus == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 8)])
def test_the_quota_of_version_1_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write_groups(
        tmp_path,
        "1:cpu:/\n",
        cpu__cpu_DOT_cfs_quota_us=quota,
        cpu__cpu_DOT_cfs_period_us="100000",
    )

    assert read_machine(tmp_path).cpus == expected


@pytest.mark.parametrize("name", ["cpuset_DOT_cpus_DOT_effective", "cpuset__cpuset_DOT_cpus"])
def test_the_cpuset_counts(tmp_path: Path, name: str) -> None:
    write_groups(tmp_path, "3:cpuset:/\n0::/\n", **{name: "0-1,7\n"})

    machine = read_machine(tmp_path)

    assert (machine.cpuset, machine.cpus) == ("0-1,7", 3)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory_DOT_max", "1073741824\n", 2**30),
        ("memory_DOT_max", "max\n", None),
        ("memory__memory_DOT_limit_in_bytes", "536870912\n", 2**29),
        ("memory__memory_DOT_limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_the_memory_limit_counts(
    tmp_path: Path, name: str, text: str, expected: int | None
) -> None:
    write_groups(tmp_path, "4:memory:/\n0::/\n", **{name: text})

    machine = read_machine(tmp_path)

    assert machine.memory_limit_bytes == expected
    assert machine.memory_bytes == (expected or HOST_MEMORY_BYTES)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (
            GROUP_1,
            {
                "cpu__pod__box__cpu_DOT_cfs_quota_us": "600000",
                "cpu__pod__box__cpu_DOT_cfs_period_us": "100000",
                "cpu__pod__cpu_DOT_cfs_quota_us": "200000",
                "cpu__pod__cpu_DOT_cfs_period_us": "100000",
                "memory__pod__box__memory_DOT_limit_in_bytes": "2000",
                "memory__pod__memory_DOT_limit_in_bytes": "1000",
            },
        ),
        (
            GROUP_2,
            {
                "pod__box__cpu_DOT_max": "max 100000",
                "pod__cpu_DOT_max": "200000 100000",
                "pod__box__memory_DOT_max": "1000",
                "pod__memory_DOT_max": "2000",
            },
        ),
    ],
)
def test_the_tightest_of_the_own_group_and_those_around_it_counts(
    tmp_path: Path, membership: str, files: dict[str, str]
) -> None:
    write_groups(tmp_path, membership, **files)

    machine = read_machine(tmp_path)

    assert (machine.cpus, machine.memory_limit_bytes) == (2, 1_000)


def test_a_group_of_the_host_that_is_not_mounted_here_leaves_the_mount(tmp_path: Path) -> None:
    write_groups(tmp_path, GROUP_2, memory_DOT_max="3000", cpu_DOT_max="100000 100000")

    machine = read_machine(tmp_path)

    assert (machine.cpus, machine.memory_limit_bytes) == (1, 3_000)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "processor : 0\nflags\t\t: fpu avx avx2 avx512f avx512_vnni\n",
            ("avx", "avx2", "avx512f", "avx512_vnni"),
        ),
        ("processor : 0\nFeatures\t: fp asimd asimddp\n", ("asimd", "asimddp")),
        ("", ()),
    ],
)
def test_instruction_sets_are_those_of_the_processor(
    tmp_path: Path, cpuinfo: str, expected: tuple[str, ...]
) -> None:
    write(tmp_path, proc__cpuinfo=cpuinfo)

    assert read_machine(tmp_path).instruction_sets == expected


def test_facts_leave_out_limits_that_do_not_exist(tmp_path: Path) -> None:
    write_groups(tmp_path, "0::/\n", cpu_DOT_max="max 100000", memory_DOT_max="1000")

    facts = read_machine(tmp_path).facts()

    assert (facts["cpus"], facts["cpu_quota"], facts["memory_limit_bytes"]) == (8, None, 1_000)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_this_machine_has_a_cpu_to_use() -> None:
    assert 1 <= available_cpus() <= 8
