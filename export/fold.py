"""Exact weight rewrites for inference: norms folded, projections packed, the stream turned.

A pre-norm model normalises what it reads from the residual stream, and a layer norm
first subtracts the mean. If everything that is written to the stream has mean zero, that
step does nothing and RMS normalisation is left; gain and bias move into the linear map that
reads the norm. RMS normalisation does not see a rotation, so writers may turn what they write
and readers turn it back: no channel stands out any more, and 8 bits hold all of them.
Post-norm models keep their norms, and their stream as it is.

Source: Ashkboos et al. 2024, "QuaRot", section 4, stage 1a, with any rotation for Hadamard's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.embeddings import positional_encoding

Array = npt.NDArray[np.float32]
MAX_POSITIONS = 1024


@dataclass(frozen=True)
class Linear:
    """y = x @ weight + bias; weight is (in, out)."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Norm:
    """Gain and bias of a layer norm that could not be folded away."""

    gain: Array
    bias: Array


@dataclass(frozen=True)
class FoldedLayer:
    """Weights of one layer; the two cross projections are None in the encoder.

    Norms are None in a pre-norm model. `cross_key_value` is applied to memory.
    """

    query_key_value: Linear
    self_output: Linear
    self_norm: Norm | None
    cross_query: Linear | None
    cross_output: Linear | None
    cross_norm: Norm | None
    widen: Linear
    narrow: Linear
    feed_forward_norm: Norm | None


@dataclass(frozen=True)
class FoldedModel:
    """All weights that the graphs need.

    `embedding` is scaled by sqrt(d_model). `cross_key_value` maps memory to keys and values
    of every decoder layer at once: key of layer 0, value of layer 0, key of layer 1, ...
    """

    config: ModelConfig
    embedding: Array
    positions: Array
    encoder: tuple[FoldedLayer, ...]
    decoder: tuple[FoldedLayer, ...]
    cross_key_value: Linear
    output: Linear


def rotation(size: int) -> npt.NDArray[np.float64]:
    """A rotation that spreads every direction over all others: (size, size), always the same."""
    noise = np.random.default_rng(1).normal(size=(size, size))
    return np.linalg.qr(noise).Q


def fold(checkpoint: Checkpoint) -> FoldedModel:
    """Rewrite a checkpoint's weights for inference, in float64 until the end."""
    return _Folder(checkpoint).fold()


class _Folder:
    """Reads weights by name; knows whether norms are to be folded."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config = checkpoint.model
        self.is_pre = checkpoint.model.norm == "pre"
        self.rotation = rotation(self.config.d_model)
        self.weights: Mapping[str, npt.NDArray[np.float64]] = {
            name: weight.double().numpy() for name, weight in checkpoint.weights.items()
        }

    def fold(self) -> FoldedModel:
        config = self.config
        positions = positional_encoding(torch.arange(MAX_POSITIONS), config.d_model).double()
        embedding = self.weights["embedding.weight"] * math.sqrt(config.d_model)
        return FoldedModel(
            config=config,
            embedding=self._to_stream(embedding),
            positions=self._to_stream(positions.numpy()),
            encoder=tuple(
                self._layer(f"encoder.layers.{number}")
                for number in range(config.num_encoder_layers)
            ),
            decoder=tuple(
                self._layer(f"decoder.layers.{number}")
                for number in range(config.num_decoder_layers)
            ),
            cross_key_value=self._cross_key_value(),
            output=self._read(
                self.weights["output.weight"].T, self.weights["output.bias"], "decoder.norm"
            ),
        )

    def _layer(self, name: str) -> FoldedLayer:
        attention, frame = f"{name}.self_attention", f"{name}.self_attention_frame.norm"
        cross, cross_frame = f"{name}.cross_attention", f"{name}.cross_attention_frame.norm"
        feed, feed_frame = f"{name}.feed_forward", f"{name}.feed_forward_frame.norm"
        has_cross = f"{cross}.to_query.weight" in self.weights
        query, key_value = f"{attention}.to_query", f"{attention}.to_key_value"
        packed = np.concatenate(
            [self.weights[f"{query}.weight"].T, self.weights[f"{key_value}.weight"].T], axis=1
        )
        packed_bias = np.concatenate(
            [self.weights[f"{query}.bias"], self.weights[f"{key_value}.bias"]]
        )
        return FoldedLayer(
            query_key_value=self._read(packed, packed_bias, frame),
            self_output=self._write(f"{attention}.to_output"),
            self_norm=self._norm(frame),
            cross_query=self._reader(f"{cross}.to_query", cross_frame) if has_cross else None,
            cross_output=self._write(f"{cross}.to_output") if has_cross else None,
            cross_norm=self._norm(cross_frame) if has_cross else None,
            widen=self._reader(f"{feed}.widen", feed_frame),
            narrow=self._write(f"{feed}.narrow"),
            feed_forward_norm=self._norm(feed_frame),
        )

    def _cross_key_value(self) -> Linear:
        names = [
            f"decoder.layers.{number}.cross_attention.to_key_value"
            for number in range(self.config.num_decoder_layers)
        ]
        weight = np.concatenate([self.weights[f"{name}.weight"].T for name in names], axis=1)
        bias = np.concatenate([self.weights[f"{name}.bias"] for name in names])
        return self._read(weight, bias, "encoder.norm")

    def _reader(self, name: str, norm: str) -> Linear:
        return self._read(self.weights[f"{name}.weight"].T, self.weights[f"{name}.bias"], norm)

    def _read(
        self, weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], norm: str
    ) -> Linear:
        """A linear map that reads `norm`: (x * gain + offset) @ W + b, as one map of x."""
        if self.is_pre:
            gain, offset = self.weights[f"{norm}.gain"], self.weights[f"{norm}.bias"]
            bias = bias + offset @ weight
            weight = self.rotation.T @ (gain[:, None] * weight)
        return Linear(weight.astype(np.float32), bias.astype(np.float32))

    def _write(self, name: str) -> Linear:
        """A linear map that writes to the residual stream."""
        weight, bias = self.weights[f"{name}.weight"].T, self.weights[f"{name}.bias"]
        return Linear(self._to_stream(weight), self._to_stream(bias))

    def _to_stream(self, rows: npt.NDArray[np.float64]) -> Array:
        """What is written to the residual stream of a pre-norm model: mean taken out, turned."""
        if self.is_pre:
            rows = (rows - rows.mean(axis=-1, keepdims=True)) @ self.rotation
        return rows.astype(np.float32)

    def _norm(self, name: str) -> Norm | None:
        if self.is_pre:
            return None
        return Norm(
            self.weights[f"{name}.gain"].astype(np.float32),
            self.weights[f"{name}.bias"].astype(np.float32),
        )
