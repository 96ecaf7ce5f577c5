"""The encoder graph: packed source tokens to the keys and values of every decoder layer.

Linear maps run over packed tokens, so that padding costs nothing; only attention sees the
padded layout, with the number of real keys given for each segment.
"""

import onnx

from export.fold import FoldedLayer, FoldedModel
from export.graph import Graph
from export.signature import encoder_signature


def encoder_graph(model: FoldedModel) -> onnx.ModelProto:
    """Write the float32 encoder graph."""
    graph = Graph(model)
    x = graph.embed("ids", "positions")  # (tokens, d_model)
    for number, layer in enumerate(model.encoder):
        name = f"encoder.{number}"
        x = graph.after(
            x, _self_attention(graph, x, layer, name), layer.self_norm, f"{name}.attention"
        )
        x = graph.feed_forward(x, layer, name)
    _project_source(graph, graph.before(x))
    return graph.finish("encoder", encoder_signature(model.config))


def _self_attention(graph: Graph, x: str, layer: FoldedLayer, name: str) -> str:
    config = graph.model.config
    packed = graph.linear(graph.before(x), layer.query_key_value, f"{name}.query_key_value")
    padded = graph.add("Gather", packed, "padded_index")  # (segments, source, 3 * d_model)
    key, value = f"{name}.key", f"{name}.value"
    query = graph.add(
        "Split", padded, name=f"{name}.query", also=[key, value], axis=-1, num_outputs=3
    )
    context = graph.add(
        "Attention",
        *(query, key, value, "", "", "", "lengths"),
        q_num_heads=config.num_heads,
        kv_num_heads=config.num_heads,
    )  # (segments, source, d_model)
    flat = graph.add("Reshape", context, graph.ints(-1, config.d_model))
    return graph.linear(
        graph.add("Gather", flat, "packed_index"), layer.self_output, f"{name}.output"
    )


def _project_source(graph: Graph, memory: str) -> None:
    """Write `cross`: (2 * layers, segments, heads, source, head_dim)."""
    config = graph.model.config
    packed = graph.linear(memory, graph.model.cross_key_value, "cross_key_value")
    padded = graph.add("Gather", packed, "padded_index")  # (segments, source, places * d_model)
    places = 2 * config.num_decoder_layers
    split = graph.add(
        "Reshape", padded, graph.ints(0, 0, places, config.num_heads, config.head_dim)
    )  # (segments, source, places, heads, head_dim)
    graph.add("Transpose", split, name="cross", perm=[2, 0, 3, 1, 4])
