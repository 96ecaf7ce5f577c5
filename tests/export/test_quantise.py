"""Rounding to 8 bits: close enough, each row by itself, and smaller."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.calibrate import Activation, calibrate
from export.graph import IR_VERSION, OPSET
from export.onnx_model import session_options
from export.quantise import quantise
from tests.bundles import tiny_checkpoint, tiny_graphs, tiny_samples

Floats = npt.NDArray[np.float32]
ROUNDING = 1e-6  # of float32, in sums of some tens of products


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def make_graph(nodes: list[onnx.NodeProto], weights: dict[str, Floats], x: Any) -> Any:
    in_type = TensorProto.INT64 if x.dtype == np.int64 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", in_type, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"])],
        initializer=[numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = IR_VERSION
    return model


def run_quantised(
    nodes: list[onnx.NodeProto],
    weights: dict[str, Floats],
    x: Any,
    activations: dict[str, Activation],
) -> Floats:
    model = quantise(make_graph(nodes, weights, x), activations)
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options())
    [y] = session.run(["y"], {"x": x})
    return y


def linear(weight: Floats, bias: Floats, x: Floats, step: float) -> Floats:
    read = Activation(step, False, np.eye(len(weight)))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]),
    ]
    return run_quantised(nodes, {"w": weight, "b": bias}, x, {"x": read})


def linear_of_relu(weight: Floats, bias: Floats, x: Floats, step: float) -> Floats:
    read = Activation(step, True, np.eye(len(weight)))
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("MatMul", ["positive", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]),
    ]
    return run_quantised(nodes, {"w": weight, "b": bias}, x, {"positive": read})


def exact_weight(generator: np.random.Generator, rows: int) -> Floats:
    """A matrix that 8 bits hold exactly, so that only the rounding of x is left."""
    weight = generator.integers(-64, 65, size=(rows, 8)).astype(np.float32)
    weight[0], weight[1] = 127, -127
    return weight


def error_in_steps(found: Floats, weight: Floats, x: Floats, step: float) -> float:
    """The largest error, in units of what rounding x by half a step may cause."""
    allowed = step / 2 * np.abs(weight).sum(axis=0)
    return float((np.abs(found - x.astype(np.float64) @ weight) / allowed).max())


def test_a_product_is_off_by_at_most_half_a_step(generator: np.random.Generator) -> None:
    weight, bias = exact_weight(generator, 3), np.zeros(8, dtype=np.float32)
    x = generator.uniform(-2, 2, size=(500, 3)).astype(np.float32)

    found = linear(weight, bias, x, 2 / 127)

    assert error_in_steps(found, weight, x, 2 / 127) < 1 + 1e-3


def test_what_a_relu_wrote_uses_all_256_levels(generator: np.random.Generator) -> None:
    weight, bias = exact_weight(generator, 3), np.zeros(8, dtype=np.float32)
    x = generator.uniform(0, 2, size=(500, 3)).astype(np.float32)

    found = linear_of_relu(weight, bias, x, 2 / 255)

    assert error_in_steps(found, weight, x, 2 / 255) < 1 + 1e-3


@pytest.mark.parametrize(("run", "largest"), [(linear, 127), (linear_of_relu, 255)])
def test_what_is_out_of_range_is_cut_off(run: Any, largest: int) -> None:
    weight, bias = np.eye(4, dtype=np.float32), np.zeros(4, dtype=np.float32)

    found = run(weight, bias, np.full((1, 4), 1e6, dtype=np.float32), 0.5)

    np.testing.assert_allclose(found, np.full((1, 4), largest * 0.5), rtol=ROUNDING)


@pytest.mark.parametrize("run", [linear, linear_of_relu])
def test_a_row_of_zeros_gives_the_bias(generator: np.random.Generator, run: Any) -> None:
    weight = generator.normal(size=(5, 4)).astype(np.float32)
    bias = generator.normal(size=4).astype(np.float32)

    found = run(weight, bias, np.zeros((2, 5), dtype=np.float32), 0.1)

    np.testing.assert_array_equal(found, [bias, bias])


@pytest.mark.parametrize("run", [linear, linear_of_relu])
def test_rows_of_a_batch_do_not_influence_each_other(
    generator: np.random.Generator, run: Any
) -> None:
    weight = generator.normal(size=(32, 64)).astype(np.float32)
    bias = generator.normal(size=64).astype(np.float32)
    x = generator.normal(size=(33, 32)).astype(np.float32)
    x[1] *= 1e4  # with one scale for the batch, all others would be rounded to nothing

    together = run(weight, bias, x, 0.03)

    for row in range(len(x)):
        np.testing.assert_array_equal(run(weight, bias, x[row : row + 1], 0.03)[0], together[row])


@pytest.mark.parametrize("name", ["embedding.weight", "positions.weight"])
@pytest.mark.parametrize("d_model", [8, 24, 64])
def test_a_row_of_a_table_is_off_by_at_most_half_a_step_of_its_row(
    generator: np.random.Generator, d_model: int, name: str
) -> None:
    table = (generator.normal(size=(20, d_model)) * np.logspace(-3, 3, 20)[:, None]).astype(
        np.float32
    )
    nodes = [helper.make_node("Gather", [name, "x"], ["y"])]

    found = run_quantised(nodes, {name: table}, np.arange(20, dtype=np.int64), {})

    step = np.abs(table).max(axis=1, keepdims=True) / 127
    assert (np.abs(found - table) <= step * (0.5 + 1e-4)).all()


def test_a_product_of_two_activations_stays_as_it_is(generator: np.random.Generator) -> None:
    x = generator.normal(size=(4, 4)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "x"], ["y"])]

    np.testing.assert_allclose(run_quantised(nodes, {}, x, {}), x @ x, rtol=1e-5, atol=ROUNDING)


def test_no_float_copy_of_a_quantised_weight_is_left_in_the_file() -> None:
    for graph in tiny_graphs("int8"):
        assert not any(
            tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2 and min(tensor.dims) > 1
            for tensor in graph.graph.initializer
        )


def test_the_given_graph_is_left_as_it_was() -> None:
    encoder, decoder = tiny_graphs("float32")
    read, _ = calibrate(tiny_checkpoint().model, encoder, decoder, tiny_samples())
    before = encoder.SerializeToString()

    quantise(encoder, read)

    assert encoder.SerializeToString() == before
