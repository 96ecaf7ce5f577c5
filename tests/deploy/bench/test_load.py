"""What a load says of a server."""

import pytest

from deploy.bench.load import Load
from deploy.loadtest.http_client import TIMEOUT_SECONDS


def test_speed_is_what_was_answered_or_how_soon() -> None:
    load = Load(seconds=2.0, latencies=[0.5, 0.25, 0.5], failures=7)

    assert load.rate == 1.5
    assert load.quickness == 2.0


def test_nobody_answered_is_as_slow_as_users_are_patient() -> None:
    assert Load(seconds=2.0, failures=7).quickness == pytest.approx(1 / TIMEOUT_SECONDS)
