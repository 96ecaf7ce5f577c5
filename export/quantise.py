"""A float32 graph to an int8 one whose every row keeps a scale of its own.

Each matrix product with a constant matrix becomes: the row's largest magnitude, the row
divided by it and rounded to 8 bits, an integer product, and the scale multiplied back. The
scale of a row is found in that row alone, so its neighbours in the batch cannot change its
result (dynamic quantisation with one scale for the whole batch would).

What stays float: attention (both operands are activations), norms, residual sums, biases.
The embedding table is stored as 8 bits with a scale for each row.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph import CONTRIB

SMALLEST = 1e-8  # a row of zeros is divided by this instead of by its magnitude
SIGNED_ZERO = 128  # uint8 that stands for 0.0 where values have both signs


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """The int8 graph: the same names, shapes and float32 ports as `model`.

    Raises:
        onnx.checker.ValidationError: if the result is not well-formed.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    _Quantiser(quantised.graph).run()
    onnx.checker.check_model(quantised)
    return quantised


def quantise_columns(
    weight: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round a matrix to int8, each column by a scale of its own: weight ~ rounded * scale."""
    scale = np.maximum(np.abs(weight).max(axis=0), SMALLEST) / 127.0
    rounded = np.rint(weight / scale).astype(np.int8)
    return rounded, scale.astype(np.float32)


class _Quantiser:
    """Rewrites one graph in place."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {output: node.op_type for node in graph.node for output in node.output}
        self.quantised_inputs: dict[str, tuple[str, str, str, str]] = {}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type == "MatMul" and node.input[1] in self.weights:
                self._quantise_product(node)
            elif node.op_type == "Gather" and node.input[0] == "embedding.weight":
                self._quantise_lookup(node)
            else:
                self.nodes.append(node)
        used = {name for node in self.nodes for name in node.input}
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.initializer[:]
        self.graph.initializer.extend(
            self.weights[name] for name in sorted(used & set(self.weights))
        )

    def _quantise_product(self, node: onnx.NodeProto) -> None:
        """x @ W: integer product of x's rows over their magnitudes, times the magnitudes."""
        x, weight = node.input
        rows, magnitude, scale, zero = self._quantised_rows(x)
        columns, column_scale = quantise_columns(numpy_helper.to_array(self.weights[weight]))
        integers = self._weight(f"{weight}.int8", columns)
        column_scales = self._weight(f"{weight}.scale", column_scale)
        product = f"{node.output[0]}.unscaled"
        self._add(
            "MatMulIntegerToFloat",
            [rows, integers, scale, column_scales, zero],
            product,
            domain=CONTRIB,
        )
        self._add("Mul", [product, magnitude], node.output[0])

    def _quantised_rows(self, x: str) -> tuple[str, str, str, str]:
        """Names of x as uint8, its rows' magnitudes, and the scale and zero of the uint8.

        What a ReLU wrote has no negative values, so all 8 bits go to the positive ones.
        """
        if x in self.quantised_inputs:
            return self.quantised_inputs[x]
        is_positive = self.producers.get(x) == "Relu"
        magnitudes = x if is_positive else self._add("Abs", [x], f"{x}.abs")
        last = self._weight("last_axis", np.array([-1], dtype=np.int64))
        largest = self._add("ReduceMax", [magnitudes, last], f"{x}.largest", keepdims=1)
        smallest = self._weight("smallest", np.float32(SMALLEST))
        magnitude = self._add("Max", [largest, smallest], f"{x}.magnitude")
        unit = self._add("Div", [x, magnitude], f"{x}.unit")
        kind = "positive" if is_positive else "signed"
        step, zero_point = (1 / 255, 0) if is_positive else (1 / 127, SIGNED_ZERO)
        scale = self._weight(f"{kind}.scale", np.float32(step))
        zero = self._weight(f"{kind}.zero", np.uint8(zero_point))
        rows = self._add("QuantizeLinear", [unit, scale, zero], f"{x}.uint8")
        self.quantised_inputs[x] = rows, magnitude, scale, zero
        return self.quantised_inputs[x]

    def _quantise_lookup(self, node: onnx.NodeProto) -> None:
        """Look up a row of int8 and its scale instead of a row of float32."""
        table, ids = node.input
        columns, scale = quantise_columns(numpy_helper.to_array(self.weights[table]).T)
        rounded = self._weight(f"{table}.int8", np.ascontiguousarray(columns.T))
        scales = self._weight(f"{table}.scale", scale[:, None])
        row = self._add("Gather", [rounded, ids], f"{node.output[0]}.int8")
        row = self._add("Cast", [row], f"{node.output[0]}.float", to=TensorProto.FLOAT)
        row_scale = self._add("Gather", [scales, ids], f"{node.output[0]}.scale")
        self._add("Mul", [row, row_scale], node.output[0])

    def _add(
        self, op: str, inputs: Iterable[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def _weight(self, name: str, values: npt.ArrayLike) -> str:
        self.weights[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
