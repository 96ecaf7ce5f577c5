"""Static batches: sorted by length, answered in order."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy.bench.batches import in_batches
from deploy.bench.peers import Ids


def test_answers_come_in_the_order_of_the_sources() -> None:
    seen: list[list[int]] = []

    def double(batch: list[Ids]) -> list[list[int]]:
        seen.append([len(source) for source in batch])
        return [[2 * token for token in source] for source in batch]

    sources: Sequence[Ids] = [[1], [2, 2, 2], [3, 3], [4, 4, 4, 4], [5]]
    with ThreadPoolExecutor(1) as executor:
        found = in_batches(sources, 2, executor, double)

    assert found == [[2], [4, 4, 4], [6, 6], [8, 8, 8, 8], [10]]
    assert seen == [[4, 3], [2, 1], [1]]
