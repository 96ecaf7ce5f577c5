"""Folded weights compute what the original weights compute."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from export.fold import FoldedLayer, FoldedModel, Linear, Norm, fold, rotation
from model.config import NormPosition
from model.masks import padding_mask
from tests.bundles import sources, tiny_checkpoint, tiny_tokenizer

# Weights are rounded to float32 once more after folding; logits are of the order of 1.
TOLERANCE = 1e-5
EPSILON = 1e-5

Floats = npt.NDArray[np.float64]

SHAPES: list[tuple[NormPosition, bool]] = [
    ("pre", True),
    ("pre", False),
    ("post", True),
    ("post", False),
]


def apply(linear: Linear | None, x: Floats) -> Floats:
    assert linear is not None
    return x @ linear.weight.astype(np.float64) + linear.bias.astype(np.float64)


def attend(query: Floats, key: Floats, value: Floats, num_heads: int, is_causal: bool) -> Floats:
    heads = []
    for q, k, v in zip(
        *(np.split(part, num_heads, axis=1) for part in (query, key, value)), strict=True
    ):
        scores = q @ k.T / np.sqrt(q.shape[1])  # (query, key)
        if is_causal:
            scores[np.triu_indices(len(q), 1)] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(weights / weights.sum(axis=1, keepdims=True) @ v)
    return np.concatenate(heads, axis=1)


def before(x: Floats, is_pre: bool) -> Floats:
    """Normalise without centring: the stream has mean zero already."""
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + EPSILON) if is_pre else x


def after(x: Floats, update: Floats, norm: Norm | None) -> Floats:
    total = x + update
    if norm is None:
        return total
    deviation = total - total.mean(axis=1, keepdims=True)
    scale = np.sqrt((deviation**2).mean(axis=1, keepdims=True) + EPSILON)
    return deviation / scale * norm.gain + norm.bias


def run_layer(
    folded: FoldedModel, layer: FoldedLayer, x: Floats, cross: tuple[Floats, Floats] | None
) -> Floats:
    heads, is_pre = folded.config.num_heads, folded.config.norm == "pre"
    query, key, value = np.split(apply(layer.query_key_value, before(x, is_pre)), 3, axis=1)
    context = attend(query, key, value, heads, is_causal=cross is not None)
    x = after(x, apply(layer.self_output, context), layer.self_norm)
    if cross is not None:
        query = apply(layer.cross_query, before(x, is_pre))
        context = attend(query, *cross, heads, is_causal=False)
        x = after(x, apply(layer.cross_output, context), layer.cross_norm)
    wide = np.maximum(apply(layer.widen, before(x, is_pre)), 0)
    return after(x, apply(layer.narrow, wide), layer.feed_forward_norm)


def run_folded(folded: FoldedModel, src_ids: list[int], tgt_ids: list[int]) -> Floats:
    """Score with the folded weights in float64, slow and plain: (target, vocab)."""
    is_pre = folded.config.norm == "pre"

    def embed(ids: list[int]) -> Floats:
        return folded.embedding[ids].astype(np.float64) + folded.positions[: len(ids)]

    x = embed(src_ids)
    for layer in folded.encoder:
        x = run_layer(folded, layer, x, None)
    places = 2 * folded.config.num_decoder_layers
    cross = np.split(apply(folded.cross_key_value, before(x, is_pre)), places, axis=1)
    x = embed(tgt_ids)
    for number, layer in enumerate(folded.decoder):
        x = run_layer(folded, layer, x, (cross[2 * number], cross[2 * number + 1]))
    return apply(folded.output, before(x, is_pre))


@pytest.mark.parametrize(("norm", "tie_output"), SHAPES)
def test_folded_weights_give_the_logits_of_the_model(norm: NormPosition, tie_output: bool) -> None:
    checkpoint = tiny_checkpoint(norm, tie_output)
    folded, model = fold(checkpoint), checkpoint.build().double()
    tgt_ids = [tiny_tokenizer().bos_id, 300, 17, 255, 301]

    for source in sources(3):
        src_ids = torch.tensor([source])
        mask = padding_mask(src_ids, 0)
        with torch.inference_mode():
            wanted = model.decode(torch.tensor([tgt_ids]), model.encode(src_ids, mask), mask)[0]

        found = run_folded(folded, list(source), tgt_ids)

        np.testing.assert_allclose(found, wanted.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


def test_what_is_written_to_the_stream_of_a_pre_norm_model_has_mean_zero() -> None:
    folded = fold(tiny_checkpoint("pre"))
    back = rotation(folded.config.d_model).T

    written = [folded.embedding, folded.positions]
    for layer in (*folded.encoder, *folded.decoder):
        for linear in (layer.self_output, layer.cross_output, layer.narrow):
            if linear is not None:
                written += [linear.weight, linear.bias[None]]

    for rows in written:
        assert np.abs((rows @ back).mean(axis=-1)).max() < 1e-6


def test_a_rotation_keeps_lengths_and_is_always_the_same() -> None:
    turn = rotation(24)

    np.testing.assert_allclose(turn @ turn.T, np.eye(24), atol=1e-12)
    np.testing.assert_array_equal(turn, rotation(24))


def test_a_channel_that_stands_out_is_spread_over_the_stream() -> None:
    checkpoint = tiny_checkpoint("pre")
    weights = dict(checkpoint.weights)
    weights["embedding.weight"] = weights["embedding.weight"].clone()
    weights["embedding.weight"][:, 3] *= 100

    rows = fold(replace(checkpoint, weights=weights)).embedding

    magnitudes = np.abs(rows).mean(axis=0)
    assert magnitudes.max() < 5 * magnitudes.mean()  # it is 20 times the mean where it stood


def test_only_a_post_norm_model_keeps_its_norms() -> None:
    pre, post = fold(tiny_checkpoint("pre")), fold(tiny_checkpoint("post"))

    assert all(layer.self_norm is None for layer in (*pre.encoder, *pre.decoder))
    assert all(layer.feed_forward_norm is not None for layer in (*post.encoder, *post.decoder))
