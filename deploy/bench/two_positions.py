"""An int8 decoder-step graph made to take two positions a row: a token, and a guess of the next.

Products see them as two rows, and read their weights once for both. Attention takes one after the
other, each with the node that takes it in a step of its own, so that scores stay the same to the
last bit. Wherever a step has `rows`, this one is fed twice as many: first the tokens, then guesses.

Source: Stern et al. 2018, "Blockwise Parallel Decoding", section 4, for two positions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from deploy.bench.guessing import NUM_GUESSED, head_width

CONTRIB = "com.microsoft"
OF_EACH_POSITION = ("ids", "lengths", "logits", "log_normalisers", "next_ids", "cross_query")
HALVES = (".first", ".second")


def two_positions(decoder: onnx.ModelProto, *, guesses: bool) -> onnx.ModelProto:
    """Rewrite the graph of one position; what only beams ask for is left out.

    Args:
        guesses: let it guess what comes next, too, with a head of random weights: as much work as
            `guessing.Head` is.
    Raises:
        onnx.checker.ValidationError: if the result is not well-formed.
    """
    model = onnx.ModelProto()
    model.CopyFrom(decoder)
    writer = _Writer(model.graph)
    for node in decoder.graph.node:
        if node.op_type == "GroupQueryAttention":
            writer.attend_twice(node)
        elif "nothing" in node.output:  # the keys and values that are new of every source
            writer.copy(node, [writer.halves(node.input[0])[0], *node.input[1:]])
        else:
            writer.copy(node, node.input)
    if guesses:
        _Head(writer).write()
    _finish(model, writer.nodes, writer.weights)
    onnx.checker.check_model(model)
    return model


class _Writer:
    """Nodes of the new graph, in order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {
            tensor.name: tensor for tensor in graph.initializer
        }
        self._split: set[str] = set()

    def add(
        self, op: str, inputs: Iterable[str], *outputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """Write a node; return its first output."""
        self.nodes.append(
            helper.make_node(op, list(inputs), list(outputs), domain=domain, **attributes)
        )
        return outputs[0]

    def copy(
        self, node: onnx.NodeProto, inputs: Iterable[str], outputs: Sequence[str] = ()
    ) -> None:
        """Write a node again, with other inputs and perhaps outputs."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.name = ""
        copied.input[:] = inputs
        copied.output[:] = outputs or node.output
        self.nodes.append(copied)

    def weight(self, name: str, values: npt.ArrayLike) -> str:
        """A constant."""
        self.weights[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def halves(self, name: str) -> list[str]:
        """What belongs to the first and to the second position."""
        names = [name + half for half in HALVES]
        if name not in self._split:
            self._split.add(name)
            self.add("Split", [name], *names, num_outputs=2)
        return names

    def attend_twice(self, node: onnx.NodeProto) -> None:
        """One position after the other; the second reads what the first wrote to the cache."""
        query, key, value, *cache, lengths, total = node.input
        context, *present = node.output
        middle = [name.replace("present", "middle") for name in present]
        spans = self.halves(lengths) if present else [lengths, lengths]
        first, second = self.halves(query)
        contexts = [context + half for half in HALVES]
        self.copy(node, [first, key, value, *cache, spans[0], total], [contexts[0], *middle])
        self.copy(
            node, [second, key, value, *(middle or cache), spans[1], total], [contexts[1], *present]
        )
        self.add("Concat", contexts, context, axis=0)


class _Head:
    """Writes `guesses`, from the last position of a row that counts."""

    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        self.random = np.random.default_rng(1)
        self.by_output = {name: node for node in writer.graph.node for name in node.output}
        self.attention = [
            node for node in writer.graph.node if node.op_type == "GroupQueryAttention"
        ][-1]

    def write(self) -> None:
        add, output = self.writer.add, self.by_output["logits"]
        [states, step, zero] = self.by_output[output.input[0]].input
        is_right, chosen = self._chosen()
        column = add("Unsqueeze", [is_right, self._ints(1)], "is_right.column")
        first, second = self.writer.halves(states)
        state = add("Where", [column, second, first], "last.state")
        [lookup] = [node for node in self.writer.graph.node if "embedded" in node.output]
        table, _, scale = lookup.input
        self.writer.copy(lookup, [table, chosen, scale], ["chosen.vector"])
        joined = add("Concat", [state, "chosen.vector"], "head.read", axis=1)
        d_model = self._width(table)
        width = head_width(d_model)
        hidden = add("Relu", [self._product(joined, 2 * d_model, width, step, zero)], "hidden")
        query = self._product(hidden, width, d_model, step, zero)
        query = add("Unsqueeze", [query, self._ints(1)], "head.query")
        self.writer.copy(self.attention, [query, *self.attention.input[1:]], ["head.context"])
        context = add("Squeeze", ["head.context", self._ints(1)], "head.context.flat")
        joined = add("Concat", [context, hidden], "head.source", axis=1)
        vector = self._product(joined, d_model + width, d_model, step, zero)
        self._best(vector, output, step, zero)

    def _chosen(self) -> tuple[str, str]:
        """Whether the guess was right, and the last token that counts then."""
        first, second = self.writer.halves("next_ids")
        _, guessed = self.writer.halves("ids")
        is_right = self.writer.add("Equal", [first, guessed], "is_right")
        return is_right, self.writer.add("Where", [is_right, second, first], "chosen")

    def _product(self, x: str, size: int, width: int, step: str, zero: str) -> str:
        name = f"head.{len(self.writer.nodes)}"
        levels = self.writer.add("QuantizeLinear", [x, step, zero], f"{name}.uint8")
        factor = self.random.integers(-64, 65, (size, width)).astype(np.int8)
        scale = np.full(width, 1e-3, dtype=np.float32)
        inputs = [
            *(levels, self.writer.weight(f"{name}.int8", factor), step),
            *(self.writer.weight(f"{name}.scale", scale), zero, ""),
            self.writer.weight(f"{name}.bias", np.zeros(width, dtype=np.float32)),
        ]
        return self.writer.add("MatMulIntegerToFloat", inputs, f"{name}.sum", domain=CONTRIB)

    def _best(self, vector: str, output: onnx.NodeProto, step: str, zero: str) -> None:
        """Of the first tokens, by their part of the output's weights, which is stored once."""
        add, (_, factor, _, scale, _, _, bias) = self.writer.add, output.input
        parts = [
            add("Slice", [each, self._ints(0), self._ints(NUM_GUESSED), self._ints(axis)], part)
            for each, axis, part in (
                (factor, 1, "guessed.int8"),
                (scale, 0, "guessed.scale"),
                (bias, 0, "guessed.bias"),
            )
        ]
        levels = add("QuantizeLinear", [vector, step, zero], "guessed.uint8")
        inputs = [levels, parts[0], step, parts[1], zero, "", parts[2]]
        scores = add("MatMulIntegerToFloat", inputs, "guessed.scores", domain=CONTRIB)
        add("ArgMax", [scores], "guesses", axis=1, keepdims=0)

    def _width(self, table: str) -> int:
        return int(self.writer.weights[table].dims[1])

    def _ints(self, value: int) -> str:
        return self.writer.weight(f"int.{value}", np.array([value], dtype=np.int64))


def _finish(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
) -> None:
    """Put the nodes in the place of the old ones, with ports that are as large as they are fed."""
    graph = model.graph
    outputs = [port for port in graph.output if "candidate" not in port.name]
    for port in list(outputs):
        if port.name.startswith("present"):
            middle = onnx.ValueInfoProto()
            middle.CopyFrom(port)
            middle.name = port.name.replace("present", "middle")
            outputs.append(middle)
    if any("guesses" in node.output for node in nodes):
        outputs.append(helper.make_tensor_value_info("guesses", onnx.TensorProto.INT64, ["rows"]))
    inputs = [port for port in graph.input if port.name != "candidate_rows"]
    for port in (*inputs, *outputs):
        if port.name in OF_EACH_POSITION:
            port.type.tensor_type.shape.dim[0].dim_param = "fed"
    live = _live(nodes, {port.name for port in outputs})
    used = {name for node in live for name in node.input}
    for field, kept in (
        (graph.input, inputs),
        (graph.output, outputs),
        (graph.node, live),
        (graph.initializer, [tensor for name, tensor in weights.items() if name in used]),
    ):
        copies = [type(one).FromString(one.SerializeToString()) for one in kept]
        del field[:]
        field.extend(copies)


def _live(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that something wanted comes from."""
    live = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            live.append(node)
            wanted = wanted.union(node.input)
    return live[::-1]
