"""Batches ready for the device, made ahead of need by processes of their own where that pays."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray

from model.batching import Batch, Position, Stream, to_batch

MAX_WORKERS = 12

Arrays = tuple[NDArray[np.int64], NDArray[np.int64]]

_inherited: list[Stream] = []  # a worker's one stream, from when it was forked


def worker_count(device: torch.device, processes: int) -> int:
    """How many other processes should make batches: on a CPU none, as training fills its cores."""
    if device.type == "cpu":
        return 0
    return min(MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) // processes - 1))


class Loader:
    """The batches of a stream, in its order, however many processes make them.

    Args:
        workers: processes that each make one round ahead; 0 makes batches when asked for.
    """

    def __init__(self, stream: Stream, workers: int = 0) -> None:
        self._stream = stream
        self._workers = workers

    def batches(self, start: Position) -> Generator[tuple[Batch, Position], None, None]:
        """Batches from `start` on, each with the position after it; endless."""
        skip = start.batch
        for number, batches in self._rounds(start.round):
            for index, batch in enumerate(batches[skip:], skip):
                yield batch, Position(number, index + 1)
            skip = 0

    def _rounds(self, first: int) -> Iterator[tuple[int, list[Batch]]]:
        if not self._workers:
            for number in count(first):
                yield number, _batches(self._stream, number)
        fork = get_context("fork")  # the corpora are shared, not copied
        pool = ProcessPoolExecutor(self._workers, fork, _inherited.append, (self._stream,))
        ahead: deque[Future[list[Arrays]]] = deque()
        try:
            for number in count(first):
                while len(ahead) <= self._workers:
                    ahead.append(pool.submit(_make_round, number + len(ahead)))
                arrays = ahead.popleft().result()
                yield number, [Batch(*map(torch.from_numpy, pair)) for pair in arrays]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _batches(stream: Stream, number: int) -> list[Batch]:
    return [to_batch(examples, stream.tokenizer.pad_id) for examples in stream.round(number)]


def _make_round(number: int) -> list[Arrays]:
    """The batches of a round as arrays, which are quick to hand from process to process."""
    (stream,) = _inherited
    batches = _batches(stream, number)
    return [(batch.src_ids.numpy(), batch.tgt_ids.numpy()) for batch in batches]
