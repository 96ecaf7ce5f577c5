"""Graphs as `torch.onnx` writes them from the modules: what most people would serve."""

import copy
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from model.embeddings import positional_encoding
from model.layers import LayerCache, LayerNorm
from model.transformer import Transformer


class _Encoder(nn.Module):
    """Padded source tokens to the keys and values of every decoder layer."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, src_ids: Tensor, src_mask: Tensor) -> list[Tensor]:
        caches = self.model.decoder.start(self.model.encode(src_ids, src_mask))
        return [part for cache in caches for part in (cache.cross_key, cache.cross_value)]


class _Decoder(nn.Module):
    """One token a row; caches go in and come out one position longer."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, src_mask: Tensor, *caches: Tensor) -> list[Tensor]:
        layers = [LayerCache(*caches[first : first + 4]) for first in range(0, len(caches), 4)]
        x = F.embedding(token_ids[:, None], self.model.embedding.weight)  # (rows, 1, d_model)
        d_model, past = self.model.config.d_model, caches[0].size(2)
        # Here the position is a number of the graph, which `Embedding` takes from Python.
        x = x * math.sqrt(d_model) + positional_encoding(torch.arange(past, past + 1), d_model)
        x, extended = self.model.decoder.step(x, layers, src_mask)
        present = [part for cache in extended for part in (cache.self_key, cache.self_value)]
        return [self.model.output(x[:, 0]), *present]


def _with_torch_norms(model: Transformer) -> Transformer:
    """A copy whose norms have a fixed size, which the tracer asks for."""
    copied = copy.deepcopy(model).eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LayerNorm):
                norm = nn.LayerNorm(model.config.d_model, eps=child.epsilon)
                norm.weight, norm.bias = child.gain, child.bias
                setattr(parent, name, norm)
    return copied


def cache_names(num_layers: int, kinds: tuple[str, ...]) -> list[str]:
    """Names of the caches of all layers, in the order of `LayerCache`."""
    return [f"{kind}_{layer}" for layer in range(num_layers) for kind in kinds]


def write_plain_graphs(model: Transformer, folder: Path) -> None:
    """Write encoder and decoder in float32 and, with dynamic scales, in int8."""
    folder.mkdir(parents=True, exist_ok=True)
    model, num_layers = _with_torch_norms(model), model.config.num_decoder_layers
    cross = cache_names(num_layers, ("cross_key", "cross_value"))
    caches = cache_names(num_layers, ("self_key", "self_value", "cross_key", "cross_value"))
    present = cache_names(num_layers, ("present_key", "present_value"))
    src_ids = torch.ones(2, 5, dtype=torch.int64)
    src_mask = src_ids > 0
    heads = torch.zeros(2, model.config.num_heads, 3, model.config.head_dim)
    axes = {name: {0: "rows", 2: "past" if "self" in name else "source"} for name in caches}
    axes |= {name: {0: "rows", 2: "longer"} for name in present}
    axes |= {"token_ids": {0: "rows"}, "logits": {0: "rows"}}
    axes |= {name: {0: "rows", 1: "source"} for name in ("src_ids", "src_mask")}
    exports: list[tuple[str, nn.Module, tuple[Tensor, ...], list[str], list[str]]] = [
        ("encoder", _Encoder(model), (src_ids, src_mask), ["src_ids", "src_mask"], cross),
        (
            "decoder",
            _Decoder(model),
            (src_ids[:, 0], src_mask[:, :3], *[heads] * len(caches)),
            ["token_ids", "src_mask", *caches],
            ["logits", *present],
        ),
    ]
    for part, module, example, inputs, outputs in exports:
        path = folder / f"{part}.float32.onnx"
        torch.onnx.export(
            module.eval(),
            example,
            path,
            dynamo=False,  # the newer exporter needs a library more
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: axes[name] for name in (*inputs, *outputs)},
        )
        quantize_dynamic(
            path, folder / f"{part}.int8.onnx", per_channel=True, weight_type=QuantType.QInt8
        )
