"""The decoder step as each next factor would have it: graphs cut out of the one in a bundle."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

SECOND = "second."  # before the names of the second step
LEVELS = 127  # of int8 on each side of zero
NUM_INPUTS = 14  # of GroupQueryAttention with scales, which come last
INT8_CACHES = {
    "k_quant_type": "PER_CHANNEL",
    "v_quant_type": "PER_CHANNEL",
    "kv_cache_bit_width": 8,
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A decoder-step graph, and how it is run.

    Attributes:
        fed: inputs that the plain graph has not.
        scales: of inputs that hold int8, by name, (heads, 1, head_dim); a level stands for so much.
        in_place: outputs that lie where an input does.
        chosen: outputs with the tokens of a run, in their order.
    """

    model: onnx.ModelProto
    fed: Mapping[str, Array] = field(default_factory=dict)
    scales: Mapping[str, Array] = field(default_factory=dict)
    in_place: Mapping[str, str]
    chosen: Sequence[str] = ("next_ids",)

    def stored(self, name: str, values: Array) -> Array:
        """Keys or values as input `name` holds them: (..., heads, positions, head_dim)."""
        if name not in self.scales:
            return values
        levels = np.clip(np.rint(values / self.scales[name]), -LEVELS, LEVELS)
        return levels.astype(np.int8)


def plain(model: onnx.ModelProto) -> Variant:
    """The graph as it is."""
    return Variant(model=model, in_place=dict(_caches(model)))


def _caches(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for port in model.graph.output:
        if port.name.startswith("present_"):
            yield port.name, port.name.replace("present_", "past_")


def block_of(model: onnx.ModelProto) -> int:
    """The tokens of one block of the vocabulary, of whose best ones the best token is taken."""
    node = next(node for node in model.graph.node if _cuts_blocks(node))
    return int(_constants(model)[node.input[1]][2])


def _cuts_blocks(node: onnx.NodeProto) -> bool:
    return node.op_type == "Reshape" and node.input[0] == "logits"


def _constants(model: onnx.ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def shortlisted(model: onnx.ModelProto, token_ids: Array, *, is_fed: bool) -> Variant:
    """Only some tokens can be chosen: of the last matrix their columns are kept.

    Args:
        token_ids: (shortlist) int64, a multiple of `block_of`, at least 16 times it.
        is_fed: whether the columns are an input, as they must be where each batch has a shortlist
            of its own; the kernel packs constants only once.
    """
    new, constants = _copy(model), _constants(model)
    _number_blocks(new, len(token_ids) // block_of(model))
    for name in ("next_ids", "candidate_ids"):
        new.graph.node.append(helper.make_node("Gather", ["shortlist", f"{name}.place"], [name]))
    product = next(node for node in new.graph.node if node.output[0] == "logits")
    columns = {name: constants[name][..., token_ids] for name in _of_vocabulary(product)}
    columns = {name: np.ascontiguousarray(part) for name, part in columns.items()}
    kept = [tensor for tensor in new.graph.initializer if tensor.name not in columns]
    del new.graph.initializer[:]
    new.graph.initializer.extend(kept)
    _add_constant(new, "shortlist", token_ids)
    for name, part in columns.items():
        if is_fed:
            kind = helper.np_dtype_to_tensor_dtype(part.dtype)
            new.graph.input.append(helper.make_tensor_value_info(name, kind, part.shape))
        else:
            _add_constant(new, name, part)
    logits = next(port for port in new.graph.output if port.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_value = len(token_ids)
    fed = columns if is_fed else {}
    return Variant(model=_checked(new), fed=fed, in_place=dict(_caches(new)))


def _of_vocabulary(product: onnx.NodeProto) -> list[str]:
    """Weights, scales and bias of an integer product: their last axis are its outputs."""
    return [product.input[place] for place in (1, 3, 6)]


def _number_blocks(model: onnx.ModelProto, num_blocks: int) -> None:
    """Let the best tokens be taken from so many blocks, and call them places in a shortlist."""
    block = block_of(model)
    for node in model.graph.node:
        if _cuts_blocks(node):
            node.input[1] = _add_constant(model, "shortlist.blocks", [0, num_blocks, block])
        elif node.op_type == "Mul" and node.input[0] == "candidate_rows":
            node.input[1] = _add_constant(model, "shortlist.num_blocks", [num_blocks])
        for place, name in enumerate(node.output):
            if name in ("next_ids", "candidate_ids"):
                node.output[place] = f"{name}.place"


def with_int8_caches(model: onnx.ModelProto, largest: Mapping[str, Array]) -> Variant:
    """Keys and values of target and source as int8, with a scale for each channel.

    Args:
        largest: by input, (heads, 1, head_dim), what becomes the last level.
    """
    new = _copy(model)
    scales = {name: values / LEVELS for name, values in largest.items()}
    in_place = dict(_caches(new))
    for node in new.graph.node:
        if node.op_type != "GroupQueryAttention":
            continue
        caches = list(node.input[3:5])
        node.input.extend([""] * (NUM_INPUTS - 2 - len(node.input)))
        for name in caches:
            scale = scales[name].astype(np.float32).ravel()
            node.input.append(_add_constant(new, f"{name}.scale", scale))
        if len(node.output) == 1:  # over the source; this kernel wants a place to write to
            node.output.extend(f"present_{name}" for name in caches)
            in_place |= {f"present_{name}": name for name in caches}
        for key, value in INT8_CACHES.items():
            node.attribute.append(helper.make_attribute(key, value))
    ports = {port.name: port for port in (*new.graph.input, *new.graph.output)}
    for output, name in in_place.items():
        ports[name].type.tensor_type.elem_type = TensorProto.INT8
        if output in ports:
            ports[output].type.tensor_type.elem_type = TensorProto.INT8
        else:
            new.graph.output.append(_renamed(ports[name], output))
    return Variant(model=_checked(new), scales=scales, in_place=in_place)


def unrolled(model: onnx.ModelProto) -> Variant:
    """Two steps, the second of which is fed the token and reads the caches of the first."""
    new = _copy(model)
    outputs = {name for node in model.graph.node for name in node.output}
    fed = {"ids": "next_ids", **{past: present for present, past in _caches(model)}}
    one = _add_constant(new, f"{SECOND}one", np.array([1], dtype=np.int32))
    for name in ("lengths", "total_length"):
        fed[name] = SECOND + name
        new.graph.node.append(helper.make_node("Add", [name, one], [SECOND + name]))
    names = {**{name: SECOND + name for name in outputs if name}, **fed}
    for node in model.graph.node:
        second = onnx.NodeProto()
        second.CopyFrom(node)
        second.name = f"{SECOND}{node.name}" if node.name else ""
        second.input[:] = [names.get(name, name) for name in node.input]
        second.output[:] = [names.get(name, name) for name in node.output]
        new.graph.node.append(second)
    new.graph.output.extend(_renamed(port, SECOND + port.name) for port in model.graph.output)
    first = dict(_caches(model))
    second_places = {SECOND + present: past for present, past in first.items()}
    return Variant(
        model=_checked(new),
        in_place={**first, **second_places},
        chosen=("next_ids", f"{SECOND}next_ids"),
    )


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    new = onnx.ModelProto()
    new.CopyFrom(model)
    return new


def _renamed(port: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    new = onnx.ValueInfoProto()
    new.CopyFrom(port)
    new.name = name
    return new


def _add_constant(model: onnx.ModelProto, name: str, values: npt.ArrayLike) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same.

    Raises:
        onnx.checker.ValidationError: if the graph is not well-formed.
    """
    onnx.checker.check_model(model)
    return model
