"""The written graphs have the ports that the signature promises."""

import onnx
import pytest
from onnx import ModelProto

from export.__main__ import PRECISIONS
from export.signature import Port, decoder_signature, encoder_signature
from model.config import NormPosition
from tests.bundles import tiny_checkpoint, tiny_graphs

DTYPES = {
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
}


def ports(values: object) -> tuple[Port, ...]:
    found = []
    for value in values:  # type: ignore[attr-defined]
        tensor = value.type.tensor_type
        axes = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
        found.append(Port(value.name, DTYPES[tensor.elem_type], axes))
    return tuple(found)


def is_internal(graph: ModelProto) -> bool:
    """Say whether all weights are inside: no file beside the graph is needed."""
    return not any(tensor.external_data for tensor in graph.graph.initializer)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_ports_of_the_graphs_are_those_of_the_signature(norm: NormPosition) -> None:
    config = tiny_checkpoint(norm).model

    for precision in PRECISIONS:
        signatures = encoder_signature(config, precision), decoder_signature(config, precision)
        for graph, signature in zip(tiny_graphs(precision, norm), signatures, strict=True):
            assert ports(graph.graph.input) == signature.inputs
            assert ports(graph.graph.output) == signature.outputs
            assert is_internal(graph)


def test_a_decoder_step_has_a_cache_port_for_every_layer() -> None:
    config = tiny_checkpoint().model

    inputs = {port.name: port for port in decoder_signature(config).inputs}

    for layer in range(config.num_decoder_layers):
        for kind in ("key", "value"):
            past, cross = inputs[f"past_{kind}_{layer}"], inputs[f"cross_{kind}_{layer}"]
            assert past.axes == ("rows", config.num_heads, "capacity", config.head_dim)
            assert cross.axes == ("rows", config.num_heads, "source", config.head_dim)
