"""A float32 graph to an int8 one whose rows never see each other.

Each matrix product with a constant matrix becomes: its rows rounded to 8 bits with the step
that calibration found, and an integer product that is scaled back and given its bias in one
node. Nothing is measured while it runs, so a row's neighbours in the batch cannot change its
result (dynamic quantisation with one scale for the whole batch would).

What stays float: attention (both operands are activations), norms, residual sums.
The tables of tokens and positions are stored as 8 bits with a scale for each row.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.calibrate import Activation, products
from export.graph import CONTRIB
from export.rounding import quantise_columns, quantise_factor

SIGNED_ZERO = 128  # uint8 that stands for 0.0 where values have both signs
LOOKED_UP = ("embedding.weight", "positions.weight")
SMALLEST_BLOCK = 16  # of GatherBlockQuantized; a power of two, and here never less than a row


def quantise(model: onnx.ModelProto, activations: Mapping[str, Activation]) -> onnx.ModelProto:
    """The int8 graph: the same names, shapes and float32 ports as `model`.

    Args:
        activations: everything that a product reads, by its name.
    Raises:
        onnx.checker.ValidationError: if the result is not well-formed.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    _Quantiser(quantised.graph, activations).run()
    onnx.checker.check_model(quantised)
    return quantised


class _Quantiser:
    """Rewrites one graph in place."""

    def __init__(self, graph: onnx.GraphProto, activations: Mapping[str, Activation]) -> None:
        self.graph = graph
        self.activations = activations
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.products = {node.output[0]: node for node in products(graph)}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type == "Add" and node.input[0] in self.products:
                self._quantise_linear(self.products[node.input[0]], node)
            elif node.op_type == "Gather" and node.input[0] in LOOKED_UP:
                self._quantise_lookup(node)
            elif node.output[0] not in self.products:
                self.nodes.append(node)
        used = {name for node in self.nodes for name in node.input}
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.initializer[:]
        self.graph.initializer.extend(
            self.weights[name] for name in sorted(used & set(self.weights))
        )

    def _quantise_linear(self, product: onnx.NodeProto, add: onnx.NodeProto) -> None:
        """x @ W + b: an integer product of x's levels, times its step, plus b."""
        x, weight = product.input
        read = self.activations[x]
        step = self._weight(f"{weight}.step", np.float32(read.step))
        zero = self._zero(read.is_positive)
        levels = self._add("QuantizeLinear", [x, step, zero], f"{x}.uint8")
        matrix = numpy_helper.to_array(self.weights[weight])
        rounded, scale = quantise_factor(matrix, read.gram)
        integers = self._weight(f"{weight}.int8", rounded)
        scales = self._weight(f"{weight}.scale", scale)
        self._add(
            "MatMulIntegerToFloat",
            [levels, integers, step, scales, zero, "", add.input[1]],
            add.output[0],
            domain=CONTRIB,
        )

    def _zero(self, is_positive: bool) -> str:
        """The level that stands for 0.0; where nothing is negative, all others lie above it."""
        if is_positive:
            return self._weight("positive.zero", np.uint8(0))
        return self._weight("signed.zero", np.uint8(SIGNED_ZERO))

    def _quantise_lookup(self, node: onnx.NodeProto) -> None:
        """Look up a row of 8 bits and its scale instead of a row of float32."""
        table, ids = node.input
        columns, scale = quantise_columns(numpy_helper.to_array(self.weights[table]).T)
        levels = (columns.T.astype(np.int16) + SIGNED_ZERO).astype(np.uint8)
        rounded = self._weight(f"{table}.uint8", levels)
        scales = self._weight(f"{table}.scale", scale[:, None])
        self._add(
            "GatherBlockQuantized",
            [rounded, ids, scales],
            node.output[0],
            domain=CONTRIB,
            bits=8,
            quantize_axis=1,
            block_size=max(SMALLEST_BLOCK, 1 << (levels.shape[1] - 1).bit_length()),
        )

    def _add(
        self, op: str, inputs: Iterable[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def _weight(self, name: str, values: npt.ArrayLike) -> str:
        self.weights[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
