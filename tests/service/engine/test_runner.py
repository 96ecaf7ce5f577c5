"""The runner: packed encoding, and steps that follow the slot table wherever its memory goes."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from service.bundle import Bundle, load_bundle
from service.engine.limits import SMALLEST_CAPACITY
from service.engine.runner import Runner
from service.engine.scores import Floats
from service.engine.slots import SlotTable
from service.engine.stepper import NUM_CANDIDATES
from service.engine.top import top
from service.errors import BundleError

PRECISIONS = ("int8", "float32", "float16")
SOURCES = [(5, *range(280, 280 + length), 3) for length in (4, 1, 30, 9, 64)]


@pytest.fixture(params=PRECISIONS)
def runner(tiny_bundle: Bundle, request: pytest.FixtureRequest) -> Runner:
    return Runner.load(tiny_bundle, request.param)


def join(runner: Runner, table: SlotTable, source: tuple[int, ...]) -> int:
    [slot] = table.allocate(1, runner.encode([source])[:, 0], len(source), runner.bos_id)
    return slot


def encode(runner: Runner, sources: Sequence[tuple[int, ...]]) -> npt.NDArray[Any]:
    """Keys and values on the host: (place, segment, heads, source, head_dim)."""
    cross = runner.encode(sources)
    if runner.device:
        cross = runner.device.read(cross, [(place,) for place in range(cross.shape[0])])
    found: npt.NDArray[Any] = cross
    return found


def go_on(table: SlotTable, token_id: int) -> None:
    table.advance(range(table.num_busy), [token_id] * table.num_busy)


def run_alone(runner: Runner, source: tuple[int, ...], token_ids: list[int]) -> Floats:
    """Logits of each step, fed with these tokens: (step, vocab)."""
    table = runner.slot_table(4, 8_192)
    stepper = runner.stepper(table)
    join(runner, table, source)
    rows = []
    for token_id in token_ids:
        rows.append(stepper.step().logits[0].copy())
        go_on(table, token_id)
    return np.stack(rows)


def test_what_the_manifest_says_of_the_model_is_known(tiny_bundle: Bundle) -> None:
    runner = Runner.load(tiny_bundle, "int8")

    assert runner.sizes == tiny_bundle.manifest.model
    assert (runner.bos_id, runner.eos_id) == (2, 3)
    assert runner.provider == "CPUExecutionProvider"


def test_segments_encoded_together_are_encoded_as_alone(runner: Runner) -> None:
    together = encode(runner, SOURCES)

    for index, source in enumerate(SOURCES):
        alone = encode(runner, [source])
        np.testing.assert_array_equal(together[:, index, :, : len(source)], alone[:, 0])


def test_the_order_of_segments_does_not_matter(runner: Runner) -> None:
    forth, back = encode(runner, SOURCES), encode(runner, SOURCES[::-1])

    for index, source in enumerate(SOURCES):
        there = back[:, len(SOURCES) - 1 - index, :, : len(source)]
        np.testing.assert_array_equal(forth[:, index, :, : len(source)], there)


def test_rows_joining_at_different_steps_score_as_alone(runner: Runner) -> None:
    token_ids = list(range(300, 312))
    table = runner.slot_table(8, 8_192)
    stepper = runner.stepper(table)
    found: list[list[Floats]] = [[] for _ in SOURCES]

    for number, token_id in enumerate(token_ids):
        if number < len(SOURCES):
            join(runner, table, SOURCES[number])
        scores = stepper.step()
        for slot in range(table.num_busy):
            found[slot].append(scores.logits[slot].copy())
        go_on(table, token_id)

    for slot, source in enumerate(SOURCES):
        wanted = run_alone(runner, source, token_ids[slot:])
        np.testing.assert_array_equal(np.stack(found[slot]), wanted)


def test_steps_go_on_in_new_memory_when_caches_grow(runner: Runner) -> None:
    token_ids = [300 + number % 90 for number in range(2 * SMALLEST_CAPACITY + 3)]
    table = runner.slot_table(4, 8_192)
    stepper = runner.stepper(table)
    join(runner, table, SOURCES[0])
    first = []

    for number, token_id in enumerate(token_ids):
        if number == 5:
            join(runner, table, SOURCES[4])  # so long that the cross cache grows
        first.append(stepper.step().logits[0].copy())
        go_on(table, token_id)

    np.testing.assert_array_equal(np.stack(first), run_alone(runner, SOURCES[0], token_ids))
    assert table.cache.shape[3] == 4 * SMALLEST_CAPACITY


def test_a_row_beside_a_hole_goes_on_as_before(runner: Runner) -> None:
    table = runner.slot_table(4, 8_192)
    stepper = runner.stepper(table)
    for source in SOURCES[:3]:
        join(runner, table, source)
    for _ in range(6):
        stepper.step()
        go_on(table, 300)

    moves = table.free([0])
    assert moves == ({} if runner.device else {2: 0})
    scores = stepper.step()

    wanted = run_alone(runner, SOURCES[2], [300] * 7)[-1]
    np.testing.assert_array_equal(scores.logits[moves.get(2, 2)], wanted)


def test_scores_name_the_best_token_and_normalise(runner: Runner) -> None:
    table = runner.slot_table(8, 8_192)
    for source in SOURCES:
        join(runner, table, source)

    scores = runner.stepper(table).step()

    logits = np.stack([scores.logits[row] for row in range(len(SOURCES))])
    assert logits.shape == (len(SOURCES), runner.sizes.vocab_size)
    rows = slice(len(SOURCES))  # on a device there are more
    assert scores.best_ids[rows] == logits.argmax(axis=1).tolist()
    if scores.best_logits:
        assert scores.best_logits[rows] == logits.max(axis=1).tolist()
    totals = np.exp(logits - np.array(scores.log_normalisers[rows])[:, None]).sum(axis=1)
    np.testing.assert_allclose(totals, 1.0, rtol=1e-5)


def test_the_best_tokens_of_the_rows_asked_for_are_found_as_alone(runner: Runner) -> None:
    table = runner.slot_table(8, 8_192)
    for source in SOURCES:
        join(runner, table, source)
    stepper = runner.stepper(table)

    for asked in ([3, 0], [], [2], [0, 1, 2, 3, 4], [4, 1]):  # a step is bound anew for each count
        scores = stepper.step(asked)

        assert list(scores.candidates) == asked
        for slot in asked:
            token_ids, logits = scores.candidates[slot]
            wanted = top(scores.logits[slot], NUM_CANDIDATES)
            assert token_ids == wanted.tolist()
            assert logits == scores.logits[slot][wanted].tolist()


def test_logits_that_are_asked_for_before_are_those_that_are_read_later(runner: Runner) -> None:
    table = runner.slot_table(8, 8_192)
    for source in SOURCES:
        join(runner, table, source)
    stepper = runner.stepper(table)

    before = stepper.step([], [3, 0]).logits
    found = {row: before[row].copy() for row in (3, 0, 2)}
    after = stepper.step().logits

    for row, logits in found.items():
        np.testing.assert_array_equal(logits, after[row])


def test_two_tables_of_one_runner_do_not_disturb_each_other(runner: Runner) -> None:
    tables = [runner.slot_table(4, 8_192) for _ in range(2)]
    steppers = [runner.stepper(table) for table in tables]
    for table, source in zip(tables, SOURCES, strict=False):
        join(runner, table, source)

    found = [stepper.step().logits[0] for stepper in steppers]

    for logits, source in zip(found, SOURCES, strict=False):
        np.testing.assert_array_equal(logits, run_alone(runner, source, [300])[0])


def test_a_graph_that_cannot_be_loaded_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.path, path)
    bundle = load_bundle(path)
    (path / "decoder.int8.onnx").write_bytes(b"no graph")

    with pytest.raises(BundleError, match=r"decoder\.int8\.onnx cannot be loaded"):
        Runner.load(bundle, "int8")
