"""Where the tokens of a translation were read from: plain attention, and the right hypothesis."""

import numpy as np
import pytest

from service.engine.alignment import Alignment
from service.engine.job import Hypothesis, Job
from service.engine.loop import Engine
from service.engine.scores import Floats
from tests.service.engine.driving import finish, random_jobs, run_alone
from tests.service.engine.toy_runner import BOS_ID, LIMITS, ToyRunner, ignore, make_job, toy_query

HEADS, HEAD_DIM = 2, 4


def make_hypothesis(rows: tuple[int, ...], num_tokens: int) -> Hypothesis:
    return Hypothesis(
        token_ids=(7,) * num_tokens,
        token_log_probs=(-1.0,) * len(rows),
        score=-1.0,
        finish_reason="stop",
        rows=rows,
    )


def attend(query: Floats, keys: Floats) -> Floats:
    """Mean of the heads of one hypothesis: (heads, head_dim), (heads, source, d) -> (source)."""
    heads = []
    for head in range(HEADS):
        weights = np.exp([query[head] @ key / HEAD_DIM**0.5 for key in keys[head]])
        heads.append(weights / weights.sum())
    read: Floats = np.mean(heads, axis=0)
    return read


def test_a_token_is_read_where_the_heads_look_on_average() -> None:
    random = np.random.default_rng(3)
    places = range(1, 6)  # between a tag and eos
    alignment = Alignment(places)
    wanted = []
    for _ in range(20):
        queries = 3 * random.normal(size=(1, HEADS, 1, HEAD_DIM)).astype(np.float32)
        keys = random.normal(size=(HEADS, 9, HEAD_DIM)).astype(np.float32)
        alignment.look(queries, keys)
        wanted.append(int(attend(queries[0, :, 0], keys[:, :7])[1:6].argmax()))

    found = alignment.add_to(make_hypothesis((0,) * 20, num_tokens=20))

    assert found.alignment == tuple(wanted)
    assert len(set(wanted)) == 5


def test_neither_tag_nor_eos_nor_what_is_behind_them_is_aligned_to() -> None:
    alignment = Alignment(range(1, 3))
    keys = np.zeros((1, 6, 1), dtype=np.float32)
    keys[0, :, 0] = [50.0, 1.0, 2.0, 50.0, 900.0, 900.0]
    alignment.look(np.ones((1, 1, 1, 1), dtype=np.float32), keys)

    assert alignment.add_to(make_hypothesis((0,), num_tokens=1)).alignment == (1,)


def test_eos_has_no_place() -> None:
    alignment = Alignment(range(1, 2))
    for _ in range(3):
        alignment.look(
            np.ones((1, 1, 1, 1), dtype=np.float32), np.ones((1, 3, 1), dtype=np.float32)
        )

    assert alignment.add_to(make_hypothesis((0, 0, 0), num_tokens=2)).alignment == (0, 0)


def place_wanted(job: Job, history: list[int]) -> int:
    """Where the toy looks after these tokens: at the largest aligned token or the least."""
    assert job.aligned
    source = np.array(job.source_ids[job.aligned.start : job.aligned.stop])
    return int((toy_query(history) * source).argmax())


@pytest.mark.parametrize("seed", range(4))
def test_every_hypothesis_of_any_search_has_the_places_of_its_own_history(seed: int) -> None:
    """Rows move, fork and end while they are looked at."""
    engine = Engine(ToyRunner(), LIMITS, on_step=ignore)
    jobs = random_jobs(seed, 12)
    for job in jobs:
        job.aligned = range(len(job.source_ids))
        engine.submit(job)

    results = finish(engine, *jobs)

    seen = set()
    for job, result in zip(jobs, results, strict=True):
        for found in result.hypotheses:
            ids = found.token_ids
            wanted = [place_wanted(job, [BOS_ID, *ids[:length]]) for length in range(len(ids))]
            assert list(found.alignment or ()) == wanted
            seen |= set(wanted)
    assert len(seen) > 2


def test_asking_changes_no_translation_and_not_asking_tells_none(runner: ToyRunner) -> None:
    engine = Engine(runner, LIMITS, on_step=ignore)
    asking, other = (make_job((5, 6, 7), beam_size=3, num_hypotheses=3) for _ in range(2))
    asking.aligned = range(1, 2)
    for job in (asking, other):
        engine.submit(job)

    told, silent = finish(engine, asking, other)

    assert [one.token_ids for one in told.hypotheses] == [
        one.token_ids for one in run_alone(other).hypotheses
    ]
    assert [one.score for one in told.hypotheses] == [one.score for one in silent.hypotheses]
    assert {one.alignment for one in silent.hypotheses} == {None}
