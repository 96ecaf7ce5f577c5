"""The expected wait follows what was taken while others still waited."""

import pytest

from service.engine.drain_rate import WINDOW_SECONDS, DrainRate


def test_nothing_is_known_at_first() -> None:
    assert DrainRate().seconds(1_000_000) == 0.0


def test_a_window_of_backlog_tells_the_rate() -> None:
    rate = DrainRate()
    for tenth in range(int(10 * WINDOW_SECONDS) + 1):
        rate.took(30, tenth / 10, leaves_others=True)

    assert rate.seconds(900) == pytest.approx(3.0)


def test_a_shorter_time_tells_nothing() -> None:
    rate = DrainRate()
    rate.took(30, 0.0, leaves_others=True)
    rate.took(30, 0.9 * WINDOW_SECONDS, leaves_others=True)

    assert rate.seconds(900) == 0.0


def test_a_queue_that_runs_empty_ends_the_window() -> None:
    rate = DrainRate()
    rate.took(30, 0.0, leaves_others=True)
    rate.took(30, WINDOW_SECONDS / 2, leaves_others=False)
    rate.took(30, WINDOW_SECONDS, leaves_others=True)

    assert rate.seconds(900) == 0.0


def test_what_was_known_stays_known_and_a_new_window_replaces_it() -> None:
    rate = DrainRate()
    rate.took(0, 0.0, leaves_others=True)
    rate.took(400, WINDOW_SECONDS, leaves_others=True)
    rate.took(0, 3 * WINDOW_SECONDS, leaves_others=False)
    assert rate.seconds(200) == pytest.approx(WINDOW_SECONDS / 2)

    rate.took(0, 10.0, leaves_others=True)
    rate.took(800, 10.0 + WINDOW_SECONDS, leaves_others=True)
    assert rate.seconds(200) == pytest.approx(WINDOW_SECONDS / 4)
