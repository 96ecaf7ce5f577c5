"""Where figures come from: machine and versions, written beside every result."""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("ctranslate2", "numpy", "onnxruntime", "torch")
# glibc gives freed memory back to the system and asks for it again; large thresholds keep it.
# CTranslate2 gains most by it. Read when a process starts.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # for what is not told otherwise
WANTED = {**ALLOCATOR, **ONE_THREAD}


def describe() -> dict[str, Any]:
    """CPU, load, system and versions."""
    return {
        "cpu": _cpu(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": dict(_versions()),
        "environment": {name: os.environ.get(name) for name in WANTED},
    }


def _versions() -> Iterator[tuple[str, str]]:
    """Of what is installed."""
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
