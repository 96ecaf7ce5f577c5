"""Graphs run plainly, and checked against their signatures when they load."""

import numpy as np
import onnx
import pytest
import torch

from export.errors import SignatureMismatch
from export.onnx_model import OnnxModel
from model.config import NormPosition
from model.masks import padding_mask
from tests.bundles import sources, tiny_checkpoint, tiny_graphs, tiny_tokenizer

# float32 rounding gave up to 3e-5 on these models.
TOLERANCE = 1e-4

SHAPES: list[tuple[NormPosition, bool]] = [
    ("pre", True),
    ("pre", False),
    ("post", True),
    ("post", False),
]


@pytest.mark.parametrize(("norm", "tie_output"), SHAPES)
def test_float32_graphs_give_the_logits_of_pytorch(norm: NormPosition, tie_output: bool) -> None:
    checkpoint = tiny_checkpoint(norm, tie_output)
    model = checkpoint.build()
    onnx_model = OnnxModel(checkpoint.model, *tiny_graphs("float32", norm, tie_output))
    fed = [tiny_tokenizer().bos_id, *range(290, 330)]

    for source in sources(4, seed=2):
        src_ids = torch.tensor([source])
        mask = padding_mask(src_ids, 0)
        with torch.inference_mode():
            wanted = model.decode(torch.tensor([fed]), model.encode(src_ids, mask), mask)[0]

        found = onnx_model.logits(source, fed)

        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=TOLERANCE)


def rename(graph: onnx.ModelProto) -> None:
    for node in graph.graph.node:
        node.output[:] = ["scores" if name == "logits" else name for name in node.output]
        node.input[:] = ["scores" if name == "logits" else name for name in node.input]
    graph.graph.output[0].name = "scores"


def widen_dtype(graph: onnx.ModelProto) -> None:
    [node] = [node for node in graph.graph.node if node.output[0] == "next_ids"]
    node.output[0] = "narrow_ids"
    cast = onnx.helper.make_node("Cast", ["narrow_ids"], ["next_ids"], to=onnx.TensorProto.INT32)
    graph.graph.node.append(cast)
    graph.graph.output[2].type.tensor_type.elem_type = onnx.TensorProto.INT32


def fix_axis(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


@pytest.mark.parametrize("damage", [rename, widen_dtype, fix_axis])
def test_a_port_of_another_name_dtype_or_axis_is_refused(damage: object) -> None:
    assert callable(damage)
    checkpoint = tiny_checkpoint()
    encoder, decoder = tiny_graphs("float32")
    damage(decoder)

    with pytest.raises(SignatureMismatch, match="decoder"):
        OnnxModel(checkpoint.model, encoder, decoder)


def test_further_outputs_are_observed_run_after_run() -> None:
    encoder, decoder = tiny_graphs("float32")
    encoder.graph.output.append(onnx.helper.make_tensor_value_info("embedded", 1, None))
    onnx_model = OnnxModel(tiny_checkpoint().model, encoder, decoder)
    batch = sources(2)

    for source in batch:
        onnx_model.encode(source)

    in_encoder, in_decoder = onnx_model.observed
    assert [len(rows) for rows in in_encoder["embedded"]] == [len(source) for source in batch]
    assert in_decoder == {}
