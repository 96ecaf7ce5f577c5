"""The allocator of C, which keeps what is freed."""

import ctypes


def give_back() -> None:
    """Return free memory to the system, wherever it lies; glibc's allocator can, others may not.

    By itself it returns only what lies behind all that is in use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
