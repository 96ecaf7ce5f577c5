import threading

from service.threads import start_threads


def test_all_threads_are_there_before_there_is_work() -> None:
    before = set(threading.enumerate())

    with start_threads(5) as pool:
        started = set(threading.enumerate()) - before
        workers = {pool.submit(threading.current_thread).result() for _ in range(20)}

        assert len(started) == 5
        assert workers <= started
