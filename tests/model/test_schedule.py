import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.schedule import learning_rate


def rate(update: int, *, cooldown_updates: int = 0) -> float:
    return learning_rate(
        update, peak=0.01, warmup_updates=100, max_updates=1000, cooldown_updates=cooldown_updates
    )


def test_warm_up_is_a_straight_line_to_the_peak() -> None:
    assert rate(1) == pytest.approx(0.01 / 100)
    assert rate(50) == pytest.approx(0.01 / 2)
    assert rate(100) == pytest.approx(0.01)


@given(update=st.integers(1, 300_000), d_model=st.integers(2, 1024), warmup=st.integers(1, 10_000))
def test_without_cool_down_it_is_the_papers_formula(update: int, d_model: int, warmup: int) -> None:
    ours = learning_rate(
        update, peak=(d_model * warmup) ** -0.5, warmup_updates=warmup, max_updates=300_000
    )

    paper = d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)
    assert ours == pytest.approx(paper, rel=1e-12)


def test_cool_down_is_a_straight_line_from_the_rate_reached_to_zero() -> None:
    reached = rate(800)

    assert rate(800, cooldown_updates=200) == reached
    assert rate(850, cooldown_updates=200) == pytest.approx(reached * 3 / 4)
    assert rate(999, cooldown_updates=200) == pytest.approx(reached / 200)
    assert rate(1000, cooldown_updates=200) == 0.0


def test_before_the_cool_down_nothing_differs() -> None:
    assert [rate(update, cooldown_updates=200) for update in range(1, 801)] == [
        rate(update) for update in range(1, 801)
    ]


def test_after_the_last_update_the_rate_stays_zero() -> None:
    assert rate(1001, cooldown_updates=200) == 0.0


def test_on_a_plateau_the_rate_stays_at_its_peak_until_the_cool_down() -> None:
    rates = [
        learning_rate(
            update,
            peak=0.01,
            warmup_updates=100,
            max_updates=1000,
            cooldown_updates=200,
            plateau=True,
        )
        for update in range(1, 1001)
    ]

    assert rates[:100] == [rate(update) for update in range(1, 101)]
    assert set(rates[99:800]) == {0.01}
    assert rates[899] == pytest.approx(0.005)
    assert rates[999] == 0.0
