"""Threads for work that would keep the event loop waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait


def start_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads are all there when this returns.

    One that is started when there is work may find no memory to come to life in, and then the work
    waits for it; nothing limits that wait.

    Raises:
        RuntimeError: if one cannot be started; then none is left.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="service")
    together = threading.Barrier(count)  # nobody goes on, to be used again, before all are there
    try:
        wait([pool.submit(together.wait) for _ in range(count)])
    except RuntimeError:
        together.abort()  # those who wait would never end, and the process with them
        pool.shutdown()
        raise
    return pool
