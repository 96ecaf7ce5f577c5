import numpy as np

from service.engine.scores import StepScores

LOGITS = np.array([[0.0, 1.0, 2.0], [5.0, 3.0, 4.0], [7.0, 9.0, 8.0]], dtype=np.float32)
NORMALISERS = np.array([2.5, 5.25, 9.5], dtype=np.float32)


def make() -> StepScores:
    return StepScores(LOGITS.copy(), NORMALISERS, LOGITS.argmax(axis=1))


def test_a_segment_sees_its_own_rows_in_the_order_of_its_slots() -> None:
    mine = make().of([2, 0])

    assert mine.best(0) == (1, -0.5)
    assert mine.best(1) == (2, -0.5)
    assert mine.log_prob(0, 2) == -1.5
    assert mine.log_prob(1, 0) == -2.5


def test_changing_the_logits_of_a_row_changes_no_scores() -> None:
    scores = make()

    logits, normaliser = scores.of([1]).logits(0)
    logits[:] = -1.0

    assert normaliser == 5.25
    assert scores.of([1]).best(0) == (0, -0.25)
    assert scores.of([1]).logits(0)[0].tolist() == [5.0, 3.0, 4.0]
