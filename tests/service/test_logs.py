import io
import logging
from collections.abc import Iterator

import pytest

from service.logs import REQUEST_ID, LineFormatter, log_event, logger


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)


def test_an_event_is_one_line_with_its_request_id(log: io.StringIO) -> None:
    REQUEST_ID.set("abc")

    log_event(logging.INFO, "request", path="/translate", seconds=0.125)

    line = log.getvalue()
    assert line.endswith("INFO request request_id=abc path=/translate seconds=0.125\n")


def test_a_value_cannot_begin_a_new_line(log: io.StringIO) -> None:
    log_event(logging.INFO, "request", path="/x\nERROR forged a=b")

    assert log.getvalue().count("\n") == 1
    assert r'path="/x\nERROR forged a=b"' in log.getvalue()


def test_a_traceback_stays_on_the_line_of_its_event(log: io.StringIO) -> None:
    log_event(logging.ERROR, "failed", error=ValueError("why"))

    assert log.getvalue().count("\n") == 1
    assert "ValueError: why" in log.getvalue()
