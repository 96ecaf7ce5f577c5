from random import Random

from hypothesis import given
from hypothesis import strategies as st

from model.augment import AugmentConfig, add_noise, join
from model.corpus import Pair
from tests.model.toy import toy_pairs

PAIRS = st.lists(st.builds(Pair, st.text(), st.text()), max_size=30)
CHANCES = st.floats(0, 1)

# A share of 2,000 draws is this near to its chance but in one of 10,000 seeds.
SHARE_TOLERANCE = 0.045
DRAWS = 2000


def share(changed: int) -> float:
    return changed / DRAWS


@given(pairs=PAIRS, seed=st.integers())
def test_without_chances_nothing_changes(pairs: list[Pair], seed: int) -> None:
    config = AugmentConfig()

    assert join(pairs, config, Random(seed)) == pairs
    assert [add_noise(pair, config, Random(seed), "de") for pair in pairs] == pairs


@given(pairs=PAIRS, chance=CHANCES, seed=st.integers())
def test_joining_loses_no_text_and_keeps_the_sides_together(
    pairs: list[Pair], chance: float, seed: int
) -> None:
    joined = join(pairs, AugmentConfig(join=chance), Random(seed))

    assert " ".join(pair.first for pair in joined) == " ".join(pair.first for pair in pairs)
    assert " ".join(pair.second for pair in joined) == " ".join(pair.second for pair in pairs)


def test_at_most_three_pairs_are_joined() -> None:
    pairs = [Pair(str(number), str(-number)) for number in range(7)]

    joined = join(pairs, AugmentConfig(join=1.0), Random(1))

    assert joined == [Pair("0 1 2", "0 -1 -2"), Pair("3 4 5", "-3 -4 -5"), Pair("6", "-6")]


def test_joins_come_by_their_chance() -> None:
    pairs = [Pair("a", "b")] * DRAWS

    joins = DRAWS - len(join(pairs, AugmentConfig(join=0.2), Random(1)))

    # A pair joins the one before by 0.2, unless two have done so just before (0.2 * 0.2 / 1.24).
    assert abs(share(joins) - 0.2 * (1 - 0.04 / 1.24)) < SHARE_TOLERANCE


def test_lower_case_changes_the_source_only() -> None:
    assert add_noise(
        Pair("A Dog.", "Ein Hund."), AugmentConfig(lower=1.0), Random(1), "de"
    ) == Pair("a dog.", "Ein Hund.")


def test_upper_case_changes_both_sides() -> None:
    assert add_noise(
        Pair("A Dog.", "Ein Hund."), AugmentConfig(upper=1.0), Random(1), "de"
    ) == Pair("A DOG.", "EIN HUND.")


def test_the_final_full_stop_is_dropped_from_the_source_only() -> None:
    assert add_noise(Pair("A. B.", "C."), AugmentConfig(drop_mark=1.0), Random(1), "de") == Pair(
        "A. B", "C."
    )


def test_each_change_comes_by_its_chance() -> None:
    config = AugmentConfig(lower=0.3, upper=0.2, drop_mark=0.4)
    random = Random(1)

    sources = [add_noise(Pair("Abc.", ""), config, random, "de").first for _ in range(DRAWS)]

    lowered = sum(source.startswith("abc") for source in sources)
    raised = sum(source.startswith("ABC") for source in sources)
    unmarked = sum(not source.endswith(".") for source in sources)
    assert abs(share(lowered) - 0.3) < SHARE_TOLERANCE
    assert abs(share(raised) - 0.2) < SHARE_TOLERANCE
    assert abs(share(unmarked) - 0.4) < SHARE_TOLERANCE


@given(text=st.text(), seed=st.integers())
def test_swapping_exchanges_at_most_two_neighbouring_letters(text: str, seed: int) -> None:
    swapped = add_noise(Pair(text, text), AugmentConfig(swap=1.0), Random(seed), "de")

    different = [place for place in range(len(text)) if swapped.first[place] != text[place]]
    assert swapped.second == text
    assert len(swapped.first) == len(text)
    assert different in ([], different[:1] + [place + 1 for place in different[:1]])
    assert sorted(swapped.first) == sorted(text)
    assert all(text[place].isalpha() for place in different)


def test_swapping_changes_most_words() -> None:
    config, random = AugmentConfig(swap=1.0), Random(1)

    changed = sum(
        add_noise(pair, config, random, "de").first != pair.first for pair in toy_pairs(DRAWS)
    )

    assert share(changed) > 0.8  # "ee" exchanged is the same
