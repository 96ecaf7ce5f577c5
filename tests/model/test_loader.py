import multiprocessing
import time
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from model.batching import Position, Stream, to_batch
from model.loader import MAX_WORKERS, Loader, worker_count

START = Position(0, 0)


def first(loader: Loader, count: int, start: Position = START) -> list[tuple[Any, Any, Position]]:
    """The first batches as plain lists, each with the position after it."""
    batches = loader.batches(start)
    found = [
        (batch.src_ids.tolist(), batch.tgt_ids.tolist(), position)
        for batch, position in islice(batches, count)
    ]
    batches.close()
    return found


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_are_those_of_the_rounds_in_order(stream: Stream, workers: int) -> None:
    rounds = [
        (*(side.tolist() for side in to_batch(batch, stream.tokenizer.pad_id)), Position(r, i + 1))
        for r in range(6)
        for i, batch in enumerate(stream.round(r))
    ]

    assert first(Loader(stream, workers), len(rounds)) == rounds


@pytest.mark.parametrize("workers", [0, 2])
def test_the_batches_from_any_position_are_the_tail_of_all(stream: Stream, workers: int) -> None:
    whole = first(Loader(stream), 30)
    assert whole[-1][2].round >= 2

    for taken in range(1, 30, 1 if workers == 0 else 9):
        start = whole[taken - 1][2]
        assert first(Loader(stream, workers), 30 - taken, start) == whole[taken:]


def test_a_stream_that_is_left_leaves_no_process_behind(stream: Stream) -> None:
    first(Loader(stream, 2), 3)

    assert_no_process_is_left()


def test_a_round_that_fails_leaves_no_process_behind(stream: Stream) -> None:
    without_corpora = replace(stream, corpora=[])

    with pytest.raises(ValueError, match="zip") as held:
        first(Loader(without_corpora, 2), 1)

    assert_no_process_is_left()
    assert held.traceback  # it holds the pool, which would end by itself otherwise


def assert_no_process_is_left() -> None:
    for _ in range(100):
        if not multiprocessing.active_children():
            return
        time.sleep(0.1)
    raise AssertionError(multiprocessing.active_children())


def test_labels_are_counted_without_padding(stream: Stream) -> None:
    batch, _ = next(Loader(stream).batches(START))

    labels = [token for row in batch.tgt_ids.tolist() for token in row[1:]]
    assert 0 in labels
    assert batch.count_labels(pad_id=0) == len([token for token in labels if token != 0])


def test_training_on_a_cpu_shares_its_cores_with_nobody() -> None:
    assert worker_count(torch.device("cpu"), 1) == 0


def test_every_process_on_a_gpu_has_a_worker_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    for cores, processes, expected in ((16, 1, MAX_WORKERS), (16, 4, 3), (8, 1, 7), (4, 8, 1)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert worker_count(gpu, processes) == expected
