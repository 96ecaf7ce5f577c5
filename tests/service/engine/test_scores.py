import numpy as np

from service.engine.scores import Candidates, StepScores

LOGITS = np.array([[0.0, 1.0, 2.0], [5.0, 3.0, 4.0], [7.0, 9.0, 8.0]], dtype=np.float32)
NORMALISERS = np.array([2.5, 5.25, 9.5], dtype=np.float32)


def make() -> StepScores:
    best = Candidates(
        rows=[2, 1],
        token_ids=np.array([[1, 2], [0, 2]]),
        logits=np.array([[9.0, 8.0], [5.0, 4.0]], dtype=np.float32),
    )
    return StepScores(LOGITS.copy(), NORMALISERS, LOGITS.argmax(axis=1), best)


def test_a_segment_sees_its_own_rows_in_the_order_of_its_slots() -> None:
    mine = make().of([2, 0])

    assert mine.best(0) == (1, -0.5)
    assert mine.best(1) == (2, -0.5)
    assert mine.log_prob(0, 2) == -1.5
    assert mine.log_prob(1, 0) == -2.5


def test_candidates_come_with_their_log_probabilities_where_they_were_asked_for() -> None:
    mine = make().of([0, 1, 2])

    assert list(mine.candidates(0)) == []
    assert list(mine.candidates(1)) == [(0, -0.25), (2, -1.25)]
    assert list(mine.candidates(2)) == [(1, -0.5), (2, -1.5)]


def test_changing_the_logits_of_a_row_changes_no_scores() -> None:
    scores = make()

    logits, normaliser = scores.of([1]).logits(0)
    logits[:] = -1.0

    assert normaliser == 5.25
    assert scores.of([1]).best(0) == (0, -0.25)
    assert scores.of([1]).logits(0)[0].tolist() == [5.0, 3.0, 4.0]
