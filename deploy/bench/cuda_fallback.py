"""The same graphs with another operator for attention over a source."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def swap_attention(path: Path) -> None:
    """Put MultiHeadAttention, onnxruntime's own, in place of ONNX's Attention."""
    model = onnx.load(path)
    graph, nodes = model.graph, []
    lengths = "lengths" if graph.name == "encoder" else "source_lengths"
    nodes.append(helper.make_node("Cast", [lengths], ["mask"], to=TensorProto.INT32))
    num_heads = _num_heads(graph)
    for node in graph.node:
        if node.op_type != "Attention":
            nodes.append(node)
            continue
        query, key, value = node.input[:3]
        if graph.name == "decoder":
            flat, query = query, f"{query}.rows"
            nodes.append(helper.make_node("Squeeze", [flat, "ints_2"], [f"{query}.flat"]))
            nodes.append(helper.make_node("Reshape", [f"{query}.flat", "row_shape"], [query]))
        nodes.append(
            helper.make_node(
                "MultiHeadAttention",
                [query, key, value, "", "mask"],
                [node.output[0]],
                domain="com.microsoft",
                num_heads=num_heads,
            )
        )
    del graph.node[:]
    graph.node.extend(nodes)
    names = {tensor.name for tensor in graph.initializer}
    for name, values in (("ints_2", [2]), ("row_shape", [0, 1, -1])):
        if name not in names:
            graph.initializer.append(
                helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
            )
    onnx.save(model, path)


def _num_heads(graph: onnx.GraphProto) -> int:
    port = next(
        port for port in (*graph.output, *graph.input) if port.name in ("cross", "cross_key_0")
    )
    axis = 2 if port.name == "cross" else 1
    return int(port.type.tensor_type.shape.dim[axis].dim_value)
