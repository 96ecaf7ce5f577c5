"""The step of each int8 activation: one number for all rows, found on text.

A step that is fixed at export makes a row's result independent of its neighbours in a batch,
and costs nothing at run time. It trades the rounding of many values against the cutting off of
a few large ones: the step with the smallest squared error over what was observed is taken.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from export.onnx_model import OnnxModel
from export.parity import Sample
from model.config import ModelConfig

Array = npt.NDArray[np.float32]
Steps = Mapping[str, float]

# Shares of the largest magnitude at which values may be cut off; below them nothing was gained.
CUTS = np.linspace(0.4, 1.0, 25)
SMALLEST = 1e-8  # what is always zero still needs a step to be divided by


def calibrate(
    config: ModelConfig,
    encoder: onnx.ModelProto,
    decoder: onnx.ModelProto,
    samples: Sequence[Sample],
) -> tuple[Steps, Steps]:
    """Steps for the float32 encoder and decoder: name of what a product reads -> step.

    Args:
        samples: sentences whose translation by PyTorch is scored step by step; at least one.
    """
    graphs = (_tapped(encoder), _tapped(decoder))
    onnx_model = OnnxModel(config, *graphs)
    for sample in samples:
        onnx_model.logits(sample.source_ids, sample.fed_ids)
    encoder_steps, decoder_steps = (
        {
            name: best_step(np.concatenate(seen), is_positive=name in _positive(graph))
            for name, seen in observed.items()
        }
        for observed, graph in zip(onnx_model.observed, graphs, strict=True)
    )
    return encoder_steps, decoder_steps


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


def _positive(model: onnx.ModelProto) -> set[str]:
    """Names of what a ReLU wrote."""
    return {node.output[0] for node in model.graph.node if node.op_type == "Relu"}


def _tapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, with what its products read as further outputs."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    for name in dict.fromkeys(node.input[0] for node in products(model.graph)):
        tapped.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return tapped
