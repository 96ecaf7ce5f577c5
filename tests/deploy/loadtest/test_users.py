"""How users come, and how their replies are told apart."""

from itertools import pairwise
from random import Random

import pytest

from deploy.loadtest.users import BROKEN, GAVE_UP, Reply, arrival_times


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


def test_the_same_seed_brings_the_same_users() -> None:
    first, second = (arrival_times(5.0, 9.0, Random(3)) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("200", "ok"),
        ("429", "refusal"),
        ("503", "refusal"),
        ("504", "late"),
        (GAVE_UP, "late"),
        ("500", "error"),
        ("422", "error"),
        (BROKEN, "error"),
    ],
)
def test_a_reply_is_of_one_kind(outcome: str, kind: str) -> None:
    reply = Reply(wanted_at=1.0, sent_at=1.5, ended_at=3.0, outcome=outcome)

    assert reply.seconds == 2.0
    assert reply.is_ok == (kind == "ok")
    assert reply.is_refusal == (kind == "refusal")
    assert reply.is_error == (kind == "error")
