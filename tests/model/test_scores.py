import pytest

from model.scores import score

TEXTS = ["The small dog sees the old house.", "It never rains in the north today."]


def test_a_perfect_translation_scores_100() -> None:
    scores = score(TEXTS, TEXTS)

    assert scores.bleu == pytest.approx(100)
    assert scores.chrf == pytest.approx(100)


def test_a_strange_translation_scores_near_0() -> None:
    scores = score(["xx qq ww"] * 2, TEXTS)

    assert scores.bleu < 5
    assert scores.chrf < 5


def test_hypotheses_and_references_are_compared_in_order() -> None:
    assert score(TEXTS[::-1], TEXTS).chrf < 60


def test_signatures_say_how_it_was_counted() -> None:
    scores = score(TEXTS, TEXTS)

    assert scores.bleu_signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert scores.chrf_signature.startswith(
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:"
    )


def test_case_can_be_left_out() -> None:
    shouted = [text.upper() for text in TEXTS]

    assert score(shouted, TEXTS).bleu < 50
    assert score(shouted, TEXTS, lowercase=True).bleu == pytest.approx(100)
    assert score(shouted, TEXTS, lowercase=True).chrf == pytest.approx(100)
    assert "|case:lc|" in score(TEXTS, TEXTS, lowercase=True).bleu_signature


def test_scores_are_printed_in_one_line() -> None:
    assert str(score(TEXTS, TEXTS)) == "BLEU 100.00  chrF 100.00"
