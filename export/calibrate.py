"""What int8 must know of each activation, found on text: its step, and what goes together in it.

A step that is fixed at export makes a row's result independent of its neighbours in a batch,
and costs nothing at run time. It trades the rounding of many values against the cutting off of
a few large ones: the step with the smallest squared error over what was observed is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from export.onnx_model import OnnxModel
from export.parity import Sample
from export.rounding import SMALLEST
from model.config import ModelConfig

Array = npt.NDArray[np.float32]
# Shares of the largest magnitude at which values may be cut off; below them nothing was gained.
CUTS = np.linspace(0.4, 1.0, 25)


@dataclass(frozen=True)
class Activation:
    """What a product reads.

    Attributes:
        step: what one of the 256 levels stands for.
        is_positive: a ReLU wrote it; all levels but the lowest go above zero.
        gram: (channels, channels) float64, the mean product of any two channels.
    """

    step: float
    is_positive: bool
    gram: npt.NDArray[np.float64]


Activations = Mapping[str, Activation]


def calibrate(
    config: ModelConfig,
    encoder: onnx.ModelProto,
    decoder: onnx.ModelProto,
    samples: Sequence[Sample],
) -> tuple[Activations, Activations]:
    """Everything that products read in the float32 encoder and decoder, by name.

    Args:
        samples: sentences whose translation by PyTorch is scored step by step; at least one.
    """
    onnx_model = OnnxModel(config, _tapped(encoder), _tapped(decoder))
    for sample in samples:
        onnx_model.logits(sample.source_ids, sample.fed_ids)
    in_encoder, in_decoder = onnx_model.observed
    return _describe(encoder, in_encoder), _describe(decoder, in_decoder)


def _describe(model: onnx.ModelProto, observed: Mapping[str, list[Array]]) -> Activations:
    positive = {node.output[0] for node in model.graph.node if node.op_type == "Relu"}
    found = {}
    for name, seen in observed.items():
        rows = np.concatenate([each.reshape(-1, each.shape[-1]) for each in seen])
        wide, is_positive = rows.astype(np.float64), name in positive  # (token, channels)
        step = best_step(rows, is_positive=is_positive)
        found[name] = Activation(step, is_positive, wide.T @ wide / len(wide))
    return found


def products(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The matrix products with a constant matrix: what int8 replaces."""
    weights = {tensor.name for tensor in graph.initializer}
    return [node for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights]


def best_step(values: Array, *, is_positive: bool) -> float:
    """The step with which rounding and cutting off do the least harm, in squares.

    Args:
        is_positive: there are no values below zero, so that all 256 levels go above it.
    """
    lowest, highest = (0, 255) if is_positive else (-128, 127)
    largest = max(float(np.abs(values).max()), SMALLEST)

    def error(step: float) -> float:
        rounded = np.clip(np.rint(values / step), lowest, highest) * step
        return float(np.square(rounded - values).mean())

    return min((float(cut) * largest / highest for cut in CUTS), key=error)


def _tapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, with what its products read as further outputs."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    for name in dict.fromkeys(node.input[0] for node in products(model.graph)):
        tapped.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return tapped
