"""Nothing is timed that does other work."""

import pytest

from deploy.bench.agreement import Agreement, Disagreement, compare, require_agreement
from deploy.bench.peers import Precision, Setup


def a_setup(precision: Precision, beam_size: int = 1) -> Setup:
    return Setup(precision=precision, num_workers=1, batch_size=1, beam_size=beam_size)


def test_translations_are_compared_one_by_one_and_their_lengths_together() -> None:
    found = compare([[1, 2], [3], [4, 5, 6]], [(1, 2), (4,), (4, 5, 6)])

    assert found == Agreement(same=2 / 3, length=1.0)


def test_another_number_of_translations_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([[1]], [[1], [2]])


@pytest.mark.parametrize("length", [0.8, 1.2])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_more_or_less_work_is_refused(precision: Precision, length: float) -> None:
    with pytest.raises(Disagreement, match="of the reference's tokens"):
        require_agreement("peer", a_setup(precision), Agreement(same=1.0, length=length))


def test_float32_must_choose_the_same_tokens_and_int8_need_not() -> None:
    different = Agreement(same=0.5, length=1.0)

    require_agreement("peer", a_setup("int8"), different)
    with pytest.raises(Disagreement, match=r"50\.0%"):
        require_agreement("peer", a_setup("float32"), different)


def test_beams_may_stop_by_other_rules() -> None:
    nearly = Agreement(same=0.6, length=1.0)

    require_agreement("peer", a_setup("float32", beam_size=4), nearly)
    with pytest.raises(Disagreement):
        require_agreement("peer", a_setup("float32"), nearly)
