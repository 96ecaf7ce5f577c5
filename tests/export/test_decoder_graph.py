"""The decoder-step graph: rows at positions of their own, caches extended in place."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from export.__main__ import PRECISIONS
from export.decoder_graph import _block_size, choose
from export.fold import fold
from export.graph import Graph
from export.onnx_model import OnnxModel
from export.signature import NUM_CANDIDATES, Signature, decoder_signature
from model.layers import DecoderLayer
from tests.bundles import VOCAB_SIZE, sources, tiny_checkpoint, tiny_graphs

CAPACITY = 16
SOURCE_CAPACITY = 32
NUM_LAYERS = 2
KINDS = [(layer, kind) for layer in range(NUM_LAYERS) for kind in ("key", "value")]

CHOICES = ("logits", "log_normalisers", "next_ids", "candidate_ids", "candidate_logits")

Feeds = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module", params=PRECISIONS)
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def decoder(precision: str) -> onnxruntime.InferenceSession:
    _, graph = tiny_graphs(precision)
    return onnxruntime.InferenceSession(graph.SerializeToString())


@pytest.fixture(scope="module")
def encoder(precision: str) -> OnnxModel:
    return OnnxModel(tiny_checkpoint().model, *tiny_graphs(precision), precision)


def start(encoder: OnnxModel, source: tuple[int, ...]) -> Feeds:
    """One row with an empty cache."""
    config = encoder.config
    feeds: Feeds = {"source_lengths": np.array([len(source)], dtype=np.int64)}
    cross = encoder.encode(source)  # (place, 1, heads, source, head_dim)
    for place, (layer, kind) in enumerate(KINDS):
        shape = (1, config.num_heads, SOURCE_CAPACITY, config.head_dim)
        feeds[f"cross_{kind}_{layer}"] = np.zeros(shape, dtype=cross.dtype)
        feeds[f"cross_{kind}_{layer}"][:, :, : len(source)] = cross[place]
        shape = (1, config.num_heads, CAPACITY, config.head_dim)
        feeds[f"past_{kind}_{layer}"] = np.zeros(shape, dtype=cross.dtype)
    return feeds


def step(
    decoder: onnxruntime.InferenceSession, feeds: Feeds, ids: list[int], lengths: list[int]
) -> dict[str, npt.NDArray[Any]]:
    """Feed one token a row; the caches in `feeds` are extended."""
    names = [output.name for output in decoder.get_outputs()]
    found = decoder.run(
        names,
        feeds
        | {
            "ids": np.array(ids, dtype=np.int64),
            "lengths": np.array(lengths, dtype=np.int32),
            "total_length": np.array([max(lengths) + 1], dtype=np.int32),
            "candidate_rows": np.arange(len(ids)),
        },
    )
    outputs = dict(zip(names, found, strict=True))
    for layer, kind in KINDS:
        feeds[f"past_{kind}_{layer}"] = outputs[f"present_{kind}_{layer}"]
    return outputs


def together(rows: list[Feeds]) -> Feeds:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def test_rows_at_different_positions_score_as_each_alone(
    decoder: onnxruntime.InferenceSession, encoder: OnnxModel
) -> None:
    rows, lengths = [], [0, 3, 7, 12, 1]
    for source, length in zip(sources(5), lengths, strict=True):
        rows.append(start(encoder, source))
        for position in range(length):
            step(decoder, rows[-1], [270 + position], [position])
    batch = together(rows)

    found = step(decoder, batch, [280] * 5, lengths)

    for row, (feeds, length) in enumerate(zip(rows, lengths, strict=True)):
        alone = step(decoder, feeds, [280], [length])
        for name in CHOICES:
            np.testing.assert_array_equal(found[name][row], alone[name][0])


def test_a_step_writes_only_the_next_place_of_each_cache(
    decoder: onnxruntime.InferenceSession, encoder: OnnxModel
) -> None:
    feeds = start(encoder, sources(1)[0])
    for position in range(3):
        step(decoder, feeds, [270 + position], [position])
    before = {name: value.copy() for name, value in feeds.items()}

    step(decoder, feeds, [290], [3])

    for layer, kind in KINDS:
        name = f"past_{kind}_{layer}"
        changed = (feeds[name] != before[name]).any(axis=(0, 1, 3))  # (capacity)
        assert np.flatnonzero(changed).tolist() == [3]


def test_what_stands_behind_a_row_in_its_cache_is_not_read(
    decoder: onnxruntime.InferenceSession, encoder: OnnxModel
) -> None:
    clean, dirty = (start(encoder, sources(1)[0]) for _ in range(2))
    length = int(clean["source_lengths"][0])
    for layer, kind in KINDS:
        dirty[f"past_{kind}_{layer}"][:] = 7.0
        dirty[f"cross_{kind}_{layer}"][:, :, length:] = 7.0

    for position in range(3):
        wanted = step(decoder, clean, [270], [position])
        found = step(decoder, dirty, [270], [position])

        np.testing.assert_array_equal(found["logits"], wanted["logits"])


def test_next_ids_and_log_normalisers_are_those_of_the_logits(
    decoder: onnxruntime.InferenceSession, encoder: OnnxModel
) -> None:
    batch = together([start(encoder, source) for source in sources(20)])

    found = step(decoder, batch, list(range(270, 290)), [0] * 20)

    logits = found["logits"].astype(np.float64)
    assert found["next_ids"].tolist() == logits.argmax(axis=1).tolist()
    wanted = np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(found["log_normalisers"], wanted, rtol=1e-6)


@cache
def choosing(vocab_size: int) -> onnxruntime.InferenceSession:
    """A graph that gets its logits from outside."""
    folded = fold(tiny_checkpoint())
    graph = Graph(replace(folded, config=replace(folded.config, vocab_size=vocab_size)))
    choose(graph, "logits")
    ports = decoder_signature(graph.model.config)
    logits, *chosen = (port for port in ports.outputs if port.name in CHOICES)
    asked = tuple(port for port in ports.inputs if port.name == "candidate_rows")
    signature = Signature(inputs=(logits, *asked), outputs=tuple(chosen))
    return onnxruntime.InferenceSession(graph.finish("choosing", signature).SerializeToString())


@given(
    st.sampled_from([1, 7, 30, VOCAB_SIZE, 8008]),
    st.integers(1, 3),
    st.integers(1, 50),
    st.lists(st.integers(0, 2), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_candidates_are_the_best_tokens_and_equal_ones_come_in_order(
    vocab_size: int, rows: int, num_levels: int, asked: list[int], seed: int
) -> None:
    asked = [row for row in asked if row < rows]
    levels = np.random.default_rng(seed).integers(0, num_levels, size=(rows, vocab_size))
    logits = levels.astype(np.float32) - 9.5

    found_ids, found_logits = choosing(vocab_size).run(
        ["candidate_ids", "candidate_logits"],
        {"logits": logits, "candidate_rows": np.array(asked, dtype=np.int64)},
    )

    count = min(NUM_CANDIDATES, vocab_size)
    wanted = np.argsort(-logits[asked], axis=1, kind="stable")[:, :count]
    assert found_ids.tolist() == wanted.tolist()
    assert found_logits.tolist() == np.take_along_axis(logits[asked], wanted, axis=1).tolist()


@pytest.mark.parametrize("vocab_size", [1, 7, VOCAB_SIZE, 8000, 8009])
def test_blocks_of_the_vocabulary_divide_it(vocab_size: int) -> None:
    assert vocab_size % _block_size(vocab_size) == 0


def test_the_cross_query_tells_where_pytorch_looks_last() -> None:
    """The graph's weights are folded, so that only what is read out of them can be compared."""
    model, source, target = tiny_checkpoint().build(), sources(1)[0], [2, 270, 271, 272]
    seen: list[Tensor] = []
    last = model.decoder.layers[-1]
    assert isinstance(last, DecoderLayer)
    attention = last.cross_attention
    attention.to_query.register_forward_hook(lambda *call: seen.append(call[-1]))
    attention.to_key_value.register_forward_hook(lambda *call: seen.append(call[-1]))
    with torch.no_grad():
        model(torch.tensor([source]), torch.tensor([target]))
    key_value, query = sorted(seen, key=lambda each: -each.size(2))
    key, _ = key_value.chunk(2, dim=-1)
    wanted = look(*(attention.split_heads(each)[0].numpy() for each in (query, key)))

    encoder = OnnxModel(tiny_checkpoint().model, *tiny_graphs("float32"))
    decoder = onnxruntime.InferenceSession(tiny_graphs("float32")[1].SerializeToString())
    feeds = start(encoder, source)
    keys = feeds[f"cross_key_{NUM_LAYERS - 1}"][0, :, : len(source)]
    for position, token_id in enumerate(target):
        asked = step(decoder, feeds, [token_id], [position])["cross_query"]  # (1, heads, 1, ...)
        np.testing.assert_allclose(look(asked[0], keys)[:, 0], wanted[:, position], atol=1e-5)


def look(query: npt.NDArray[Any], keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Softmax of scaled products, the last axis over the source."""
    weights = np.exp(query @ keys.swapaxes(1, 2) / np.sqrt(keys.shape[2]))
    return weights / weights.sum(axis=2, keepdims=True)
