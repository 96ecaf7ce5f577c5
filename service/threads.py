"""Threads for work that would keep the event loop waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait


def start_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads are all there when this returns.

    One that is started when there is work may find no memory to come to life in, and then the work
    waits for it; nothing limits that wait.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="service")
    together = threading.Barrier(count)  # nobody goes on, to be used again, before all are there
    wait([pool.submit(together.wait) for _ in range(count)])
    return pool
