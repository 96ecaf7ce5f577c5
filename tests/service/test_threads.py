import threading

import pytest

from service.threads import start_threads


def test_all_threads_are_there_before_there_is_work() -> None:
    before = set(threading.enumerate())

    with start_threads(5) as pool:
        started = set(threading.enumerate()) - before
        workers = {pool.submit(threading.current_thread).result() for _ in range(20)}

        assert len(started) == 5
        assert workers <= started


def test_where_one_cannot_be_started_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def start_three(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)

    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_threads(5)

    assert len(started) == 3
    assert set(threading.enumerate()) == before
