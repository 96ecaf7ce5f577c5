"""How many processors this process may really use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """Count the CPUs by affinity and by the quota of the container, whichever is lower.

    Args:
        cgroup: where the control group is mounted; version 2 and version 1 are understood.

    Returns:
        At least 1. Part of a CPU is left unused: a pool larger than its quota is throttled.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(cpus, _quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """Read how many CPUs the container may use; infinite when nothing limits it."""
    version_2 = _words(cgroup / "cpu.max")
    version_1 = _words(cgroup / "cpu/cpu.cfs_quota_us") + _words(cgroup / "cpu/cpu.cfs_period_us")
    for words in (version_2, version_1):
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]) > 0:
            return int(words[0]) / int(words[1])
    return math.inf


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []
