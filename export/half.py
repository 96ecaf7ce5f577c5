"""The float16 graph, for GPUs: a float32 graph with every number in 16 bits but the scores.

What chooses a token stays float32: logits of 10 and more lie 0.008 apart in float16, so that equal
ones would be common. The output weights are kept as float16 in the file, and lose nothing.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph import value_info
from export.signature import Signature

# Behind this product all is float32; its weights and bias are read through casts.
SCORES = "output.product"


def halve(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """The float16 graph of `model`, with the ports of `signature`.

    Raises:
        onnx.checker.ValidationError: if the result is not well-formed.
    """
    graph = model.graph
    halved = helper.make_graph(
        list(_nodes(graph)),
        graph.name,
        [value_info(port) for port in signature.inputs],
        [value_info(port) for port in signature.outputs],
        initializer=[_halved(tensor) for tensor in graph.initializer],
    )
    result = helper.make_model(
        halved, opset_imports=model.opset_import, producer_name=model.producer_name
    )
    result.ir_version = model.ir_version
    onnx.checker.check_model(result)
    return result


def _halved(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes, with casts before the scores, and the best logit under its name."""
    [largest] = [node.input[0] for node in graph.node if "log_normalisers" in node.output] or [""]
    for original in graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        if SCORES in node.output:
            yield from _cast(node, [0, 1])
        elif SCORES in node.input:
            yield from _cast(node, [1])
        for names in (node.input, node.output):
            names[:] = ["best_logits" if name and name == largest else name for name in names]
        yield node


def _cast(node: onnx.NodeProto, places: list[int]) -> Iterator[onnx.NodeProto]:
    """Casts to float32 of some inputs; `node` reads them."""
    for place in places:
        name = node.input[place]
        node.input[place] = f"{name}.float32"
        yield helper.make_node("Cast", [name], [f"{name}.float32"], to=TensorProto.FLOAT)
