import ctypes
import re
from pathlib import Path

import pytest

from service.allocator import give_back

BLOCK_BYTES = 65_536  # too small for a mapping of its own


def resident_bytes() -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return 1_024 * int(found[1])


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_is_free_below_something_in_use_goes_back_to_the_system() -> None:
    blocks = [bytearray(b"x" * BLOCK_BYTES) for _ in range(1_000)]
    last = blocks.pop()
    blocks.clear()
    held = resident_bytes()

    give_back()

    assert resident_bytes() < held - 800 * BLOCK_BYTES
    assert last


def test_an_allocator_that_cannot_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())

    give_back()
