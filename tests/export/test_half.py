"""The float16 graph: 16 bits in what is stored and passed on, 32 in what chooses a token."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.onnx_model import OnnxModel
from tests.bundles import sources, tiny_checkpoint, tiny_graphs

# Float16 has 11 bits, and the logits of a tiny model stay below 8.
TOLERANCE = 0.03


def weights(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Its weights, without shapes and axes."""
    return {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type != TensorProto.INT64
    }


@pytest.mark.parametrize("part", [0, 1])
def test_every_weight_is_that_of_the_float32_graph_in_16_bits(part: int) -> None:
    wanted, found = (weights(tiny_graphs(name)[part]) for name in ("float32", "float16"))

    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        values = numpy_helper.to_array(wanted[name])
        assert tensor.data_type == TensorProto.FLOAT16
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), values.astype(np.float16))


def test_scores_are_finer_than_16_bits() -> None:
    source = sources(1)[0]
    half = OnnxModel(tiny_checkpoint().model, *tiny_graphs("float16"), "float16")

    logits = half.logits(source, [2, 270, 271])

    assert logits.dtype == np.float32
    assert (logits != logits.astype(np.float16)).mean() > 0.9


def test_scores_are_close_to_those_of_the_float32_graph() -> None:
    config, source = tiny_checkpoint().model, sources(1)[0]
    half = OnnxModel(config, *tiny_graphs("float16"), "float16")
    full = OnnxModel(config, *tiny_graphs("float32"))

    found, wanted = (model.logits(source, [2, 270, 271]) for model in (half, full))

    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)
    assert (found != wanted).any()
