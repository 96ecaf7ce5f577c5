"""What the control groups around this process allow it; versions 1 and 2 are understood.

A container sees the files of its own group at the mount. Outside of one, the group's place below
the mount is in /proc/self/cgroup, and every group above it limits as well.
"""

import math
from collections.abc import Iterator
from pathlib import Path

_MOUNT = "sys/fs/cgroup"
_VERSION_2 = ""  # has one tree for all controllers, and no name in /proc/self/cgroup


def cpu_quota(root: Path) -> float:
    """Read how many CPUs' time there is; infinite when nothing limits it.

    Args:
        root: of the file system, here as everywhere below.
    """
    quotas = [math.inf]
    for folder in _folders(root, "cpu"):
        version_2 = _words(folder / "cpu.max")
        version_1 = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        for words in (version_2, version_1):
            if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]) > 0:
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas)


def memory_limit(root: Path) -> int | None:
    """Read how many bytes of memory there are; None when nothing limits them.

    Version 1 says "no limit" with a number beyond any machine's memory: compare with that, too.
    """
    limits = [
        int(words[0])
        for folder in _folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (words := _words(folder / name)) and words[0].isdigit()
    ]
    return min(limits, default=None)


def cpuset(root: Path) -> str:
    """Read the CPUs that may be used, such as `0-3,8`; empty when nobody has chosen any."""
    for folder in _folders(root, "cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            if words := _words(folder / name):
                return words[0]
    return ""


def count_cpus(listed: str) -> int:
    """Count the CPUs of a list such as `0-3,8`."""
    ends = [part.split("-") for part in listed.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield where the limits may stand, for both versions: own group first, the mount last."""
    mount = root / _MOUNT
    places = {_VERSION_2: "", controller: ""}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, place = line.split(":", 2)
        places |= dict.fromkeys(controllers.split(","), place.strip("/"))
    for tree, place in ((mount, places[_VERSION_2]), (mount / controller, places[controller])):
        folder = tree / place
        yield folder
        while folder != tree:
            folder = folder.parent
            yield folder


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []
