"""A small pen for ONNX graphs: each call writes one node and returns the name of its output."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.fold import FoldedLayer, FoldedModel, Linear, Norm
from export.signature import Port, Signature

OPSET = 24
IR_VERSION = 11
CONTRIB = "com.microsoft"  # onnxruntime's own operators
EPSILON = 1e-5

_DTYPES = {
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
}


def value_info(port: Port) -> onnx.ValueInfoProto:
    """A port as ONNX writes it."""
    return helper.make_tensor_value_info(port.name, _DTYPES[port.dtype], list(port.axes))


class Graph:
    """Nodes and weights of a graph that grows."""

    def __init__(self, model: FoldedModel) -> None:
        self.model = model
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def add(
        self,
        op: str,
        *inputs: str,
        name: str | None = None,
        domain: str = "",
        also: Sequence[str] = (),
        **attributes: Any,
    ) -> str:
        """Write a node; `name` names its first output, `also` the others."""
        output = name or f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(op, inputs, [output, *also], domain=domain, **attributes)
        )
        return output

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        """A weight or a shape; the same name may be asked for again."""
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def ints(self, *values: int) -> str:
        """A constant vector of int64, such as a shape or axes."""
        name = "ints_" + "_".join(str(value) for value in values).replace("-", "m")
        return self.constant(name, np.array(values, dtype=np.int64))

    def linear(self, x: str, linear: Linear, name: str, output: str | None = None) -> str:
        """x @ weight + bias. The name is what quantisation and profiles show."""
        weight = self.constant(f"{name}.weight", linear.weight)
        bias = self.constant(f"{name}.bias", linear.bias)
        product = self.add("MatMul", x, weight, name=f"{name}.product")
        return self.add("Add", product, bias, name=output)

    def embed(self, ids: str, positions: str) -> str:
        """Scaled token vectors plus the encoding of their positions."""
        table = self.constant("embedding.weight", self.model.embedding)
        encoding = self.constant("positions.weight", self.model.positions)
        tokens = self.add("Gather", table, ids, name="embedded")
        return self.add("Add", tokens, self.add("Gather", encoding, positions))

    def before(self, x: str) -> str:
        """What a sub-layer reads: RMS-normalised in a folded pre-norm model."""
        if self.model.config.norm == "post":
            return x
        ones = self.constant("ones", np.ones(self.model.config.d_model, dtype=np.float32))
        return self.add("RMSNormalization", x, ones, epsilon=EPSILON)

    def after(self, x: str, update: str, norm: Norm | None, name: str) -> str:
        """The residual sum, normalised in a post-norm model."""
        total = self.add("Add", x, update)
        if norm is None:
            return total
        gain = self.constant(f"{name}.gain", norm.gain)
        bias = self.constant(f"{name}.norm_bias", norm.bias)
        return self.add("LayerNormalization", total, gain, bias, epsilon=EPSILON)

    def feed_forward(self, x: str, layer: FoldedLayer, name: str) -> str:
        """The feed-forward sub-layer in its residual frame."""
        wide = self.add("Relu", self.linear(self.before(x), layer.widen, f"{name}.widen"))
        narrow = self.linear(wide, layer.narrow, f"{name}.narrow")
        return self.after(x, narrow, layer.feed_forward_norm, f"{name}.feed_forward")

    def finish(self, name: str, signature: Signature) -> onnx.ModelProto:
        """The checked model.

        Raises:
            onnx.checker.ValidationError: if the graph is not well-formed.
        """
        graph = helper.make_graph(
            self._nodes,
            name,
            [value_info(port) for port in signature.inputs],
            [value_info(port) for port in signature.outputs],
            initializer=list(self._weights.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="dragoman")
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model
