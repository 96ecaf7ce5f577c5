"""Threads for work that would keep the event loop waiting."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait

NICENESS = 5
"""By how much these threads are nicer: when CPUs are short, they get a third of the share."""


def start_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads give way to the event loop, and are all there when this returns.

    One that is started when there is work may find no memory to come to life in, and then the work
    waits for it; nothing limits that wait. The threads of an engine that is loaded on one of these
    give way, too: Linux hands niceness down from thread to thread.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="service", initializer=_give_way)
    together = threading.Barrier(count)  # nobody goes on, to be used again, before all are there
    wait([pool.submit(together.wait) for _ in range(count)])
    return pool


def _give_way() -> None:
    """Make this thread nicer; on Linux a priority is that of a thread, not of its process."""
    thread_id = threading.get_native_id()
    nicer = os.getpriority(os.PRIO_PROCESS, thread_id) + NICENESS
    os.setpriority(os.PRIO_PROCESS, thread_id, nicer)  # the kernel knows the limit
