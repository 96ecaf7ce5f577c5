"""What a second position is worth follows from its price."""

from pathlib import Path

import pytest

from deploy.bench import lookahead
from deploy.bench.lookahead import Price, worth
from tests.bundles import write_bundle


def test_a_step_is_worth_its_time_from_the_break_even_on() -> None:
    price = Price(one=2.0, two=2.6, guessing=3.0)

    assert price.break_even == 1.5
    assert price.worth(1.5) == pytest.approx(1.0)
    assert price.worth(1.8) == pytest.approx(1.2)


def test_every_port_of_all_three_graphs_is_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookahead, "ROUNDS", 2)

    found = worth(write_bundle(tmp_path / "tiny"), rows=(1, 3))

    assert set(found) == {1, 3}
    assert min(found.values()) > 0
