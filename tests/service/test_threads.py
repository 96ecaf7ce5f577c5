import os
import threading

from service.threads import NICENESS, start_threads


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_all_threads_are_there_before_there_is_work() -> None:
    before = set(threading.enumerate())

    with start_threads(5) as pool:
        started = set(threading.enumerate()) - before
        workers = {pool.submit(threading.current_thread).result() for _ in range(20)}

        assert len(started) == 5
        assert workers <= started


def test_they_and_what_they_start_give_way_and_nobody_else_does() -> None:
    own = niceness()
    found: list[int] = []

    def start_another() -> int:
        thread = threading.Thread(target=lambda: found.append(niceness()))
        thread.start()
        thread.join()
        return niceness()

    with start_threads(2) as pool:
        found.append(pool.submit(start_another).result())

    assert found == [own + NICENESS, own + NICENESS]
    assert niceness() == own
