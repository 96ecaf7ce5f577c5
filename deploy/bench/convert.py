"""A checkpoint as a CTranslate2 model: the same weights, in its names."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece
import torch
from ctranslate2.specs import TransformerSpec

from model.checkpoint import Checkpoint
from model.embeddings import positional_encoding
from model.tokenizer import language_tag

MAX_POSITIONS = 1024
EPSILON = 1e-5  # of `model.layers.LayerNorm`

Array = npt.NDArray[np.float32]


def convert(checkpoint: Checkpoint, folder: Path, *, target: str | None = None) -> None:
    """Write `folder` in float32; `compute_type="int8"` quantises it as it is loaded.

    Args:
        target: None leaves the source to the caller, tag and `eos` included. A language makes
            CTranslate2 put that tag before and `eos` behind what it is given.
    """
    spec = _Converter(checkpoint).spec()
    pieces = vocabulary(checkpoint)
    tokenizer = checkpoint.tokenizer
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    config = spec.config
    config.unk_token = pieces[tokenizer.unk_id]
    config.eos_token = pieces[tokenizer.eos_id]
    config.decoder_start_token = pieces[tokenizer.bos_id]
    # What it calls `bos` stands before the source only.
    config.bos_token = language_tag(target) if target else pieces[tokenizer.bos_id]
    config.add_source_bos = config.add_source_eos = target is not None
    config.layer_norm_epsilon = EPSILON
    spec.validate()
    spec.optimize(quantization="float32")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _check_vocabulary(folder, checkpoint)


def vocabulary(checkpoint: Checkpoint) -> list[str]:
    """The piece of every token id, all of them distinct."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=checkpoint.tokenizer.model)
    return [processor.id_to_piece(number) for number in range(checkpoint.model.vocab_size)]


def _check_vocabulary(folder: Path, checkpoint: Checkpoint) -> None:
    """CTranslate2 appends special tokens that it misses; then its ids would not be ours."""
    written = json.loads((folder / "shared_vocabulary.json").read_text(encoding="utf-8"))
    if written != vocabulary(checkpoint):
        raise ValueError(f"{folder} numbers its tokens otherwise than the checkpoint")


class _Converter:
    """Fills a specification from weights by name."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.model
        self._weights: Mapping[str, Array] = {
            name: weight.float().numpy() for name, weight in checkpoint.weights.items()
        }

    def spec(self) -> Any:
        config = self._config
        spec = TransformerSpec.from_config(
            (config.num_encoder_layers, config.num_decoder_layers),
            config.num_heads,
            pre_norm=config.norm == "pre",
        )
        for part, embeddings in (
            (spec.encoder, spec.encoder.embeddings[0]),
            (spec.decoder, spec.decoder.embeddings),
        ):
            embeddings.weight = self._weights["embedding.weight"]
            embeddings.multiply_by_sqrt_depth = math.sqrt(config.d_model)
            positions = positional_encoding(torch.arange(MAX_POSITIONS), config.d_model)
            part.position_encodings.encodings = positions.numpy()
        for number, layer in enumerate(spec.encoder.layer):
            self._layer(layer, f"encoder.layers.{number}")
        for number, layer in enumerate(spec.decoder.layer):
            self._layer(layer, f"decoder.layers.{number}")
            self._cross(layer.attention, f"decoder.layers.{number}")
        if config.norm == "pre":
            self._norm(spec.encoder.layer_norm, "encoder.norm")
            self._norm(spec.decoder.layer_norm, "decoder.norm")
        self._linear(spec.decoder.projection, "output")
        return spec

    def _layer(self, layer: Any, name: str) -> None:
        attention = f"{name}.self_attention"
        self._linear(layer.self_attention.linear[0], *self._pair(attention))
        self._linear(layer.self_attention.linear[1], f"{attention}.to_output")
        self._norm(layer.self_attention.layer_norm, f"{attention}_frame.norm")
        self._linear(layer.ffn.linear_0, f"{name}.feed_forward.widen")
        self._linear(layer.ffn.linear_1, f"{name}.feed_forward.narrow")
        self._norm(layer.ffn.layer_norm, f"{name}.feed_forward_frame.norm")

    def _cross(self, spec: Any, name: str) -> None:
        attention = f"{name}.cross_attention"
        parts = (*self._pair(attention), f"{attention}.to_output")
        for linear, part in zip(spec.linear, parts, strict=True):
            self._linear(linear, part)
        self._norm(spec.layer_norm, f"{attention}_frame.norm")

    def _pair(self, attention: str) -> tuple[str, str]:
        return f"{attention}.to_query", f"{attention}.to_key_value"

    def _linear(self, spec: Any, *names: str) -> None:
        """One map, or several with the same input as one: weight (out, in)."""
        spec.weight = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        spec.bias = np.concatenate([self._weights[f"{name}.bias"] for name in names])

    def _norm(self, spec: Any, name: str) -> None:
        spec.gamma, spec.beta = self._weights[f"{name}.gain"], self._weights[f"{name}.bias"]
