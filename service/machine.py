"""The machine as this process may use it: a container's limits count, not the host's size."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service import cgroup

_ROOT = Path("/")
# What the matrix products of onnxruntime can use; flags of x86 and features of Arm.
_INSTRUCTION_SETS = (
    *("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16"),
    *("amx_int8", "asimd", "asimddp", "i8mm", "sve"),
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is, and what of it may be used.

    Attributes:
        host_cpus: CPUs of the host.
        affinity_cpus: CPUs that this process may run on.
        cpuset: those that its control group may run on, such as `0-3,8`; empty: not told.
        cpu_quota: CPUs' time that its control group may use; infinite without a limit.
        host_memory_bytes: memory of the host.
        memory_limit_bytes: what its control group may use; None without a limit.
        instruction_sets: those that the matrix products can use.
    """

    host_cpus: int
    affinity_cpus: int
    cpuset: str
    cpu_quota: float
    host_memory_bytes: int
    memory_limit_bytes: int | None
    instruction_sets: tuple[str, ...]

    @property
    def cpus(self) -> int:
        """CPUs to use, at least 1.

        Part of a CPU is left unused: a pool of threads larger than its quota is throttled.
        """
        counts = [self.affinity_cpus, self.cpu_quota]
        if self.cpuset:
            counts.append(cgroup.count_cpus(self.cpuset))
        return max(1, math.floor(min(counts)))

    @property
    def memory_bytes(self) -> int:
        """Memory to use."""
        return self.memory_limit_bytes or self.host_memory_bytes

    def facts(self) -> dict[str, Any]:
        """List what matters in words that JSON has: None stands for "no limit"."""
        return {
            "cpus": self.cpus,
            "host_cpus": self.host_cpus,
            "affinity_cpus": self.affinity_cpus,
            "cpuset": self.cpuset or None,
            "cpu_quota": None if math.isinf(self.cpu_quota) else self.cpu_quota,
            "memory_limit_bytes": self.memory_limit_bytes,
            "host_memory_bytes": self.host_memory_bytes,
            "instruction_sets": ",".join(self.instruction_sets) or None,
        }


def read_machine(root: Path = _ROOT) -> Machine:
    """Look at the machine.

    Args:
        root: of the file system with /proc and /sys.
    """
    host_cpus = os.cpu_count() or 1
    host_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup.memory_limit(root)
    can_tell = hasattr(os, "sched_getaffinity")
    return Machine(
        host_cpus=host_cpus,
        affinity_cpus=len(os.sched_getaffinity(0)) if can_tell else host_cpus,
        cpuset=cgroup.cpuset(root),
        cpu_quota=cgroup.cpu_quota(root),
        host_memory_bytes=host_memory,
        memory_limit_bytes=limit if limit is not None and limit < host_memory else None,
        instruction_sets=_instruction_sets(root / "proc/cpuinfo"),
    )


def available_cpus() -> int:
    """Count the CPUs that this process may use, at least 1."""
    return read_machine().cpus


def _instruction_sets(cpuinfo: Path) -> tuple[str, ...]:
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").split()
    return tuple(name for name in _INSTRUCTION_SETS if name in flags)
