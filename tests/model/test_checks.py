"""Which check looks at which case, and what is counted."""

from dataclasses import replace

import pytest

from model.check_cases import Case, load_cases
from model.checks import CHECKS, Problem, judge, measure_rates, tally

NUMBER = Case(category="numbers", source="en", target="de", text="Room 12", keep=("12",))
LONG = replace(NUMBER, category="unusual", text="long " * 400, keep=(), long=True)


def test_the_shipped_cases_cover_every_check_in_both_directions() -> None:
    cases = load_cases()

    assert {(case.source, case.target) for case in cases} == {("en", "de"), ("de", "en")}
    for direction in (("en", "de"), ("de", "en")):
        own = [case for case in cases if (case.source, case.target) == direction]
        assert {case.category for case in own} == CHECKS.keys() - {"length"}
        assert all(
            sum(case.category == name for case in own) >= 10 for name in CHECKS.keys() - {"length"}
        )
        assert len({(case.category, case.text) for case in own}) == len(own)


def test_the_long_cases_are_long_with_and_without_punctuation() -> None:
    long_cases = [case for case in load_cases() if case.long]

    assert all(len(case.text.split()) >= 400 for case in long_cases)
    assert sorted("." in case.text for case in long_cases) == [False, False, True, True]


def test_a_case_is_looked_at_by_its_own_check_and_by_those_that_look_everywhere() -> None:
    outcome = judge(NUMBER, "ja ja ja ja ja ja ja ja ja ja ja ja ja ja")

    assert {problem.check for problem in outcome.problems} == {"numbers", "loops", "length"}
    assert Problem("numbers", "12 is missing") in outcome.problems


def test_a_good_translation_has_no_problem() -> None:
    assert judge(NUMBER, "Zimmer 12").problems == ()


def test_a_skipped_case_is_counted_apart() -> None:
    outcomes = [judge(NUMBER, "Zimmer 12"), judge(NUMBER, "Zimmer"), judge(LONG, None)]

    assert outcomes[2].problems == ()
    counts = tally("numbers", outcomes)
    assert (counts.passed, counts.total, counts.skipped) == (1, 2, 0)
    counts = tally("length", outcomes)
    assert (counts.passed, counts.total, counts.skipped) == (2, 2, 1)


def test_rates_of_a_test_set_count_loops_copies_and_blanks() -> None:
    sources = ["Guten Tag", "Berlin", "Ja", "Nein", ""]
    translations = ["guten  tag", "Berlin", "yes yes yes", " ", ""]
    references = ["Good day", "Berlin", "Yes", "No", ""]

    rates = measure_rates(sources, translations, references)

    assert (rates.sentences, rates.looping, rates.copied, rates.empty) == (5, 0.2, 0.2, 0.2)
    assert rates.length_ratio == pytest.approx(28 / 19)


def test_rates_need_a_reference() -> None:
    with pytest.raises(ValueError, match="references are empty"):
        measure_rates([""], ["x"], [""])
