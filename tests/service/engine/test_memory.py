import os
import subprocess
import sys

import numpy as np
import pytest

from service.engine.memory import HostMemory

FREE_ONE = """
import re
from service.engine.memory import HostMemory
array = HostMemory().zeros((4, 4, 4, 64, 4_096))  # 64 MB
array.fill(1.0)
held = int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
del array
kept = int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(held - kept)
"""
REPLACE_ONE = """
import re
from service.engine.memory import HostMemory
def held(kind): return int(re.search(kind + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
memory, shape = HostMemory(), (8, 4, 2, 64, 4_096)  # 64 MB in 8 places
before = held("VmRSS")
array = memory.zeros(shape)
array.fill(1.0)
fitted = memory.fitted(array, shape, 4)
assert (fitted == 1.0).all()
print(held("VmHWM") - before)
"""


def test_a_new_array_holds_zeros_and_can_be_written() -> None:
    array = HostMemory().zeros((2, 3, 1, 4, 5))

    assert array.shape == (2, 3, 1, 4, 5)
    assert array.dtype == np.float32
    assert not array.any()
    array[1, 2] = 1.0
    assert array.sum() == 20.0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cache_that_is_gone_leaves_no_memory_with_an_allocator_that_keeps_it() -> None:
    keeps = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}

    done = subprocess.run(
        [sys.executable, "-c", FREE_ONE],
        env={**os.environ, **keeps},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert int(done.stdout) > 60_000  # kB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_while_a_cache_is_replaced_there_are_never_two_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", REPLACE_ONE], stdout=subprocess.PIPE, check=True)

    assert int(done.stdout) < 64_000 * 1.5  # kB
