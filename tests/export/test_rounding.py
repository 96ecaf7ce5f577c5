"""Rounded matrices: close to what they were, and multiplied without a loss on every CPU."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.graph import IR_VERSION, OPSET
from export.onnx_model import session_options
from export.rounding import LARGEST_PAIR, STRETCHES, quantise_columns, quantise_factor

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int8]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def weight(generator: np.random.Generator) -> Floats:
    return (generator.normal(size=(70, 9)) * np.logspace(-3, 3, 9)).astype(np.float32)


def identity(weight: Floats) -> npt.NDArray[np.float64]:
    """Channels that have nothing to do with each other."""
    return np.eye(len(weight))


def pair_sums(rounded: Integers) -> npt.NDArray[np.int64]:
    """The magnitude of the sum of each pair that has one sign: (pairs, columns)."""
    wide = np.pad(rounded.astype(np.int64), ((0, len(rounded) % 2), (0, 0)))
    first, second = wide[0::2], wide[1::2]
    return np.where(first * second > 0, np.abs(first + second), 0)


def test_a_weight_is_off_by_at_most_half_a_step_of_its_column(weight: Floats) -> None:
    rounded, scale = quantise_columns(weight)

    assert rounded.dtype == np.int8
    assert np.abs(rounded).max(axis=0).tolist() == [127] * 9  # each column uses its whole range
    assert (np.abs(rounded * scale - weight) <= scale * (0.5 + 1e-4)).all()


@pytest.mark.parametrize("odd", [0, 1])
def test_no_pair_of_one_sign_is_too_large(weight: Floats, odd: int) -> None:
    weight = weight[odd:]
    weight[10:30] = np.abs(weight[10:30])
    weight[12:14] = weight.max(axis=0)

    rounded, _ = quantise_factor(weight, identity(weight))

    assert rounded.shape == weight.shape
    assert pair_sums(rounded).max() == LARGEST_PAIR
    assert pair_sums(quantise_columns(weight)[0]).max() > LARGEST_PAIR


def test_a_factor_is_off_by_little_more_than_half_a_step_of_its_column(weight: Floats) -> None:
    rounded, scale = quantise_factor(weight, identity(weight))

    finest = np.abs(weight).max(axis=0) / 127
    error = np.sqrt(np.square(rounded * scale - weight).mean(axis=0))
    assert (scale <= STRETCHES[-1] * finest * (1 + 1e-6)).all()
    assert (error < STRETCHES[-1] * finest / 3).all()  # rounding alone gives 1 / sqrt(12) of a step


def test_weights_without_large_pairs_are_rounded_as_any_others() -> None:
    weight = np.array([[127, -64], [-127, 3], [40, 127], [-17, 1]], dtype=np.float32)

    rounded, scale = quantise_factor(weight, identity(weight))

    np.testing.assert_array_equal(rounded, weight)
    np.testing.assert_allclose(scale, 1.0, rtol=1e-6)


def test_errors_are_made_up_for_where_channels_go_together(generator: np.random.Generator) -> None:
    weight = generator.normal(size=(64, 32)).astype(np.float32)
    x = generator.normal(size=(500, 8)) @ generator.normal(size=(8, 64))  # 8 causes, 64 channels
    x += 0.1 * generator.normal(size=x.shape)

    def error(gram: npt.NDArray[np.float64]) -> float:
        rounded, scale = quantise_factor(weight, gram)
        return float(np.square(x @ (rounded * scale - weight)).mean())

    assert error(x.T @ x / len(x)) < 0.5 * error(identity(weight))


def test_columns_and_channels_of_zeros_stay_zero() -> None:
    weight = np.zeros((4, 2), dtype=np.float32)

    for rounded, scale in (quantise_columns(weight), quantise_factor(weight, np.zeros((4, 4)))):
        assert not rounded.any()
        assert np.isfinite(scale).all()


def multiply(x: npt.NDArray[np.uint8], rounded: Integers) -> Floats:
    """x @ rounded as a graph computes it, with the zero of the levels at 128."""
    inputs = ["x", "w", "one", "ones", "zero"]
    node = helper.make_node("MatMulIntegerToFloat", inputs, ["y"], domain="com.microsoft")
    weights = {
        "w": rounded,
        "one": np.float32(1),
        "ones": np.ones(rounded.shape[1], dtype=np.float32),
        "zero": np.uint8(128),
    }
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"])],
        initializer=[numpy_helper.from_array(np.asarray(v), name) for name, v in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = IR_VERSION
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options())
    [y] = session.run(["y"], {"x": x})
    return y


@pytest.mark.parametrize("num_rows", [1, 2, 4, 33])
def test_products_of_the_largest_pairs_are_exact(
    generator: np.random.Generator, num_rows: int
) -> None:
    # All pairs are as large as they may be, and levels are the largest ones: where a CPU adds in 16
    # bits, one more would be cut off.
    first = generator.integers(1, 128, size=(150, 40))
    signs = generator.choice([-1, 1], size=(150, 40))
    rounded = np.stack([first, LARGEST_PAIR - first], axis=1) * signs[:, None]  # (pairs, 2, out)
    matrix = rounded.reshape(300, 40).astype(np.int8)
    x = generator.choice(np.array([0, 255], dtype=np.uint8), size=(num_rows, 300), p=[0.1, 0.9])

    found = multiply(x, matrix)

    wanted = (x.astype(np.int64) - 128) @ matrix.astype(np.int64)
    np.testing.assert_array_equal(found, wanted)
