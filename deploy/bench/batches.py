"""Static batches, as a program makes them that has no queue: sorted, cut, shared out."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from deploy.bench.peers import Ids

TranslateBatch = Callable[[list[Ids]], list[list[int]]]


def in_batches(
    sources: Sequence[Ids], batch_size: int, executor: Executor, translate: TranslateBatch
) -> list[list[int]]:
    """Translate sentences of like length together, and answer in the order of `sources`."""
    order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    found = executor.map(lambda batch: translate([sources[index] for index in batch]), batches)
    answers: list[list[int]] = [[] for _ in sources]
    for batch, targets in zip(batches, found, strict=True):
        for index, target in zip(batch, targets, strict=True):
            answers[index] = target
    return answers
