"""How users come, and what their client reads."""

from itertools import pairwise
from random import Random

import pytest

from deploy.bench.http_client import TIMEOUT_SECONDS, Answer, read_head, translated_text
from deploy.bench.load import Load, arrival_times


def test_users_come_at_the_rate_that_is_asked_for() -> None:
    times = arrival_times(rate=50.0, seconds=100.0, random=Random(1))

    assert times == sorted(times)
    assert times[0] > 0.0
    assert times[-1] < 100.0
    assert len(times) == pytest.approx(5000, rel=0.05)


def test_their_gaps_spread_as_wide_as_they_are_long() -> None:
    times = arrival_times(rate=50.0, seconds=100.0, random=Random(1))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)

    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)

    assert variance**0.5 == pytest.approx(mean, rel=0.1)


def test_speed_is_what_was_answered_or_how_soon() -> None:
    load = Load(seconds=2.0, latencies=[0.5, 0.25, 0.5], failures=7)

    assert load.rate == 1.5
    assert load.quickness == 2.0


def test_nobody_answered_is_as_slow_as_users_are_patient() -> None:
    assert Load(seconds=2.0, failures=7).quickness == pytest.approx(1 / TIMEOUT_SECONDS)


def test_status_and_length_are_read_in_any_case() -> None:
    assert read_head(b"HTTP/1.1 429 Too Many\r\nServer: x\r\ncontent-LENGTH: 17\r\n\r\n") == (
        429,
        17,
    )


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no Content-Length"):
        read_head(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n")


def test_a_refusal_is_no_translation() -> None:
    assert translated_text(Answer(200, b'{"translatedText": "Hund"}')) == "Hund"
    with pytest.raises(ValueError, match="status 503"):
        translated_text(Answer(503, b"{}"))
