from pathlib import Path

import pytest

from deploy.chaos.promise import Outcome, Scenario, Verdict, exit_code, judge, table


async def _kept(_bundle: Path) -> Outcome:
    return judge(True, "0.1 s")


SCENARIO = Scenario(name="a stone", promise="It holds.", run=_kept)
NOT_RUN = Outcome(verdict=Verdict.NOT_RUN, figures="no stone at hand")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([judge(True, "")], 0),
        ([judge(True, ""), NOT_RUN], 0),
        ([judge(True, ""), judge(False, ""), judge(True, "")], 1),
    ],
)
def test_only_a_broken_promise_fails_the_command(outcomes: list[Outcome], code: int) -> None:
    assert exit_code([(SCENARIO, outcome) for outcome in outcomes]) == code


def test_the_table_has_a_row_for_each_promise_and_says_what_became_of_it() -> None:
    text = table([(SCENARIO, judge(True, "0.1 s")), (SCENARIO, NOT_RUN)])

    assert text.splitlines()[2:] == [
        "| a stone | It holds. | kept | 0.1 s |",
        "| a stone | It holds. | not run | no stone at hand |",
    ]
