"""Each factor's graph decodes as it should, and the table says so."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from deploy.bench.factor_graphs import (
    block_of,
    plain,
    shortlisted,
    unrolled,
    with_int8_caches,
)
from deploy.bench.factors import Decoded, Search, compare, measure, table
from service.bundle import load_bundle
from service.engine.runner import Runner
from tests.bundles import VOCAB_SIZE, sources, write_bundle

NUM_SENTENCES = 6


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("factors") / "bundle")


@pytest.fixture(scope="module")
def model(bundle: Path) -> onnx.ModelProto:
    return onnx.load(bundle / "decoder.int8.onnx")


@pytest.fixture(scope="module")
def search(bundle: Path) -> Search:
    runner, texts = Runner.load(load_bundle(bundle), "int8"), sources(NUM_SENTENCES)
    lengths = [len(source) for source in texts]
    return Search(runner.encode(texts), lengths, runner.bos_id, runner.eos_id)


@pytest.mark.parametrize("is_fed", [True, False])
def test_a_shortlist_of_all_tokens_changes_nothing(
    model: onnx.ModelProto, search: Search, is_fed: bool
) -> None:
    everything = np.arange(VOCAB_SIZE, dtype=np.int64)

    found, _ = search.decode(shortlisted(model, everything, is_fed=is_fed))

    assert found == search.decode(plain(model))[0]


def test_only_tokens_of_the_shortlist_are_chosen(model: onnx.ModelProto, search: Search) -> None:
    wanted, _ = search.decode(plain(model))
    kept = np.arange(VOCAB_SIZE - 16 * block_of(model), VOCAB_SIZE, dtype=np.int64)
    kept[0] = search.eos_id

    found, _ = search.decode(shortlisted(model, kept, is_fed=True))

    assert {token for ids in found.token_ids for token in ids} <= set(kept.tolist())
    assert not {token for ids in wanted.token_ids for token in ids} <= set(kept.tolist())


def test_two_steps_in_one_run_are_bit_for_bit_two_runs(
    model: onnx.ModelProto, search: Search
) -> None:
    assert search.decode(unrolled(model))[0] == search.decode(plain(model))[0]


def test_int8_caches_come_close(model: onnx.ModelProto, search: Search) -> None:
    wanted, largest = search.decode(plain(model))

    found, _ = search.decode(with_int8_caches(model, largest))

    firsts = [(a[0], b[0]) for a, b in zip(found.normalisers, wanted.normalisers, strict=True)]
    assert all(one == pytest.approx(other, abs=0.1) for one, other in firsts)
    assert found != wanted


def test_the_table_has_a_line_for_every_factor(bundle: Path) -> None:
    factors = measure("tiny", bundle, sources(3), num_laps=1, rows=(1, 2))

    lines = table(factors).splitlines()

    assert lines[0] == "| tiny | 1 row | 2 rows | greedy translations |"
    assert [line.split(" | ")[0] for line in lines[2:7]] == [f"| {each.name}" for each in factors]
    assert "| all 3 unchanged, bit for bit |" in lines[5]


@pytest.mark.parametrize(
    ("token_ids", "normalisers", "words"),
    [
        ([[5, 3], [7]], [[0.5, 0.25], [1.0]], "all 2 unchanged, bit for bit"),
        ([[5, 3], [7]], [[0.5, 0.25], [1.1]], "2 of 2 the same, with other scores"),
        ([[5, 4], [7]], [[0.5, 0.25], [1.0]], "1 of 2 the same, with other scores"),
    ],
)
def test_it_is_said_how_far_translations_are_the_same(
    token_ids: list[list[int]], normalisers: list[list[float]], words: str
) -> None:
    wanted = Decoded([[5, 3], [7]], [[0.5, 0.25], [1.0]])

    assert compare(Decoded(token_ids, normalisers), wanted) == words
