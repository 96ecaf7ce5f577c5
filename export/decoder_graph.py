"""The decoder-step graph: one token for every row, caches extended in place.

Rows stand at positions of their own: GroupQueryAttention takes the cached length of each
row and writes the new key and value behind it, in the memory it reads from. Keys and
values of the source come from the encoder graph and are never computed again; the same
operator reads them, with nothing to write, and of each row no more than its own source. So
a long source costs its neighbours nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from export.fold import FoldedLayer, FoldedModel
from export.graph import CONTRIB, Graph
from export.signature import NUM_CANDIDATES, decoder_signature


def decoder_graph(model: FoldedModel, *, for_gpu: bool = False) -> onnx.ModelProto:
    """Write the float32 decoder-step graph.

    Args:
        for_gpu: read all sources as far as the longest, with ONNX's Attention, and leave rows
            without a second axis, so that a product and its bias become one kernel; this is what
            was measured there.
    """
    graph = Graph(model)
    x = graph.embed("ids", "lengths")  # (rows, d_model)
    if not for_gpu:
        x = graph.add("Unsqueeze", x, graph.ints(1))  # (rows, 1, d_model)
        _describe_source(graph, x)
    for number, layer in enumerate(model.decoder):
        name = f"decoder.{number}"
        read = _self_attention(graph, x, layer, number, is_flat=for_gpu)
        x = graph.after(x, read, layer.self_norm, f"{name}.self_attention")
        read = _cross_attention(graph, x, layer, number, _read_padded if for_gpu else _read)
        x = graph.after(x, read, layer.cross_norm, f"{name}.cross_attention")
        x = graph.feed_forward(x, layer, name)
    if not for_gpu:
        x = graph.add("Squeeze", x, graph.ints(1))  # (rows, d_model)
    choose(graph, graph.linear(graph.before(x), model.output, "output", output="logits"))
    return graph.finish("decoder", decoder_signature(model.config))


def _describe_source(graph: Graph, x: str) -> None:
    """Write what every cross-attention is told: where each source ends, and its room.

    `nothing` are the keys and values that are new: (rows, 0, d_model).
    """
    ends = graph.add("Sub", "source_lengths", graph.ints(1))
    graph.add("Cast", ends, name="source_ends", to=onnx.TensorProto.INT32)  # (rows)
    room = graph.add("Shape", "cross_key_0", start=2, end=3)
    graph.add("Cast", room, name="source_room", to=onnx.TensorProto.INT32)  # (1)
    none = graph.ints(0)
    graph.add("Slice", x, none, none, graph.ints(1), name="nothing")


def _self_attention(graph: Graph, x: str, layer: FoldedLayer, number: int, *, is_flat: bool) -> str:
    name = f"decoder.{number}"
    packed = graph.linear(graph.before(x), layer.query_key_value, f"{name}.query_key_value")
    if is_flat:
        packed = graph.add("Unsqueeze", packed, graph.ints(1))
    context = _attend(
        graph,
        *(packed, "", "", f"past_key_{number}", f"past_value_{number}"),
        *("lengths", "total_length"),
        also=[f"present_key_{number}", f"present_value_{number}"],
    )
    if is_flat:
        context = graph.add("Squeeze", context, graph.ints(1))
    return graph.linear(context, layer.self_output, f"{name}.self_output")


def _cross_attention(
    graph: Graph, x: str, layer: FoldedLayer, number: int, read: Callable[[Graph, str, int], str]
) -> str:
    name = f"decoder.{number}"
    assert layer.cross_query is not None and layer.cross_output is not None
    query = graph.linear(graph.before(x), layer.cross_query, f"{name}.cross_query")
    if number == graph.model.config.num_decoder_layers - 1:
        _split_heads(graph, query, name="cross_query")
    return graph.linear(read(graph, query, number), layer.cross_output, f"{name}.cross_output")


def _split_heads(graph: Graph, query: str, name: str | None = None) -> str:
    config = graph.model.config
    return graph.add(
        "Reshape", query, graph.ints(0, config.num_heads, 1, config.head_dim), name=name
    )


def _read(graph: Graph, query: str, number: int) -> str:
    """The source as it was asked for, each row's to its own end: (rows, 1, d_model)."""
    return _attend(
        graph,
        *(query, "nothing", "nothing", f"cross_key_{number}", f"cross_value_{number}"),
        *("source_ends", "source_room"),
    )


def _read_padded(graph: Graph, query: str, number: int) -> str:
    """As `_read`, all rows' to the end of the longest: (rows, d_model)."""
    context = graph.add(
        "Attention",
        *(_split_heads(graph, query), f"cross_key_{number}", f"cross_value_{number}"),
        *("", "", "", "source_lengths"),
    )  # (rows, heads, 1, head_dim)
    return graph.add("Reshape", context, graph.ints(0, graph.model.config.d_model))


def _attend(graph: Graph, *inputs: str, also: Sequence[str] = ()) -> str:
    """Attention of one query a row: (rows, 1, d_model)."""
    num_heads = graph.model.config.num_heads
    return graph.add(
        "GroupQueryAttention",
        *inputs,
        also=also,
        domain=CONTRIB,
        num_heads=num_heads,
        kv_num_heads=num_heads,
    )


def choose(graph: Graph, logits: str) -> None:
    """Write `log_normalisers`, `next_ids` and the candidates.

    The best token is found in two stages, best of each block and best block, which is
    several times faster than one ArgMax over the vocabulary. LogSoftmax takes row after row, so a
    row's sum of exponentials is the same in any company; the log probability of the best token is
    close to zero, so what its logit exceeds it by is exact to float32.
    """
    vocab_size = graph.model.config.vocab_size
    block = _block_size(vocab_size)
    blocks = graph.add("Reshape", logits, graph.ints(0, vocab_size // block, block))
    best_of_block = graph.add("ReduceMax", blocks, graph.ints(2), keepdims=0)  # (rows, blocks)
    best_block = graph.add("ArgMax", best_of_block, axis=1, keepdims=1)  # (rows, 1)
    chosen = graph.add("GatherND", blocks, best_block, batch_dims=1)  # (rows, block)
    within = graph.add("ArgMax", chosen, axis=1, keepdims=1)  # (rows, 1)
    start = graph.add("Mul", best_block, graph.ints(block))
    best = graph.add("Add", start, within)  # (rows, 1)
    graph.add("Squeeze", best, graph.ints(1), name="next_ids")
    largest = graph.add("ReduceMax", best_of_block, graph.ints(1), keepdims=0)  # (rows)
    log_probs = graph.add("LogSoftmax", logits, axis=1)  # (rows, vocab)
    best_log_prob = graph.add("GatherElements", log_probs, best, axis=1)  # (rows, 1)
    best_log_prob = graph.add("Squeeze", best_log_prob, graph.ints(1))  # (rows)
    graph.add("Sub", largest, best_log_prob, name="log_normalisers")
    _rank(graph, blocks, best_of_block)


def _rank(graph: Graph, blocks: str, best_of_block: str) -> None:
    """Write `candidate_ids` and `candidate_logits`.

    The best n tokens of a row are in the n blocks with the largest maxima, so TopK need not see the
    others. Of equal ones it puts the first first: blocks are put in order before it sees tokens.
    It reads `blocks`, as logits are an output, which to reshape once more would copy.
    """
    vocab_size = graph.model.config.vocab_size
    block = _block_size(vocab_size)
    num_blocks, num_candidates = vocab_size // block, min(NUM_CANDIDATES, vocab_size)
    num_chosen = min(num_candidates, num_blocks)
    maxima = graph.add("Gather", best_of_block, "candidate_rows")  # (asked, blocks)
    graph.add("TopK", maxima, graph.ints(num_chosen), also=["best_blocks"], sorted=0)
    in_order = graph.add("TopK", "best_blocks", graph.ints(num_chosen), also=["order"], largest=0)
    first_block = graph.add("Mul", "candidate_rows", graph.ints(num_blocks))
    places = graph.add("Add", graph.add("Unsqueeze", first_block, graph.ints(1)), in_order)
    of_all = graph.add("Reshape", blocks, graph.ints(-1, block))  # (rows * blocks, block)
    chosen = graph.add("Gather", of_all, places)  # (asked, chosen, block)
    tokens = graph.add("Reshape", chosen, graph.ints(-1, num_chosen * block))
    best = graph.ints(num_candidates)
    graph.add("TopK", tokens, best, name="candidate_logits", also=["candidate_places"])
    place = graph.add("Div", "candidate_places", graph.ints(block))  # of a token's block
    start = graph.add(
        "Mul", graph.add("GatherElements", in_order, place, axis=1), graph.ints(block)
    )
    within = graph.add("Mod", "candidate_places", graph.ints(block))
    graph.add("Add", start, within, name="candidate_ids")


def _block_size(vocab_size: int) -> int:
    """The divisor of `vocab_size` nearest to its square root."""
    root = np.sqrt(vocab_size)
    divisors = [size for size in range(1, vocab_size + 1) if vocab_size % size == 0]
    return min(divisors, key=lambda size: abs(np.log(size / root)))
