"""Steps of activations: the best one for what was seen, for everything that a product reads."""

import numpy as np
import numpy.typing as npt
import pytest

from export.__main__ import build_graphs
from export.calibrate import best_step, calibrate, products
from tests.bundles import tiny_checkpoint, tiny_graphs, tiny_samples

Floats = npt.NDArray[np.float32]


def error(values: Floats, step: float, lowest: int, highest: int) -> float:
    rounded = np.clip(np.rint(values / step), lowest, highest) * step
    return float(np.square(rounded - values).mean())


@pytest.fixture
def values() -> Floats:
    return np.random.default_rng(1).normal(size=(5000, 32)).astype(np.float32)


def test_values_without_outliers_are_not_cut_off() -> None:
    values = np.linspace(-1, 1, 1001, dtype=np.float32)

    assert best_step(values, is_positive=False) == pytest.approx(1 / 127)
    assert best_step(np.abs(values), is_positive=True) == pytest.approx(1 / 255)


def test_one_outlier_is_cut_off_for_the_sake_of_all_others(values: Floats) -> None:
    values[0, 0] = 8.0

    step = best_step(values, is_positive=False)

    assert step < 0.7 * 8 / 127
    assert error(values, step, -128, 127) < error(values, 8 / 127, -128, 127)


def test_what_is_always_zero_gets_a_step_to_be_divided_by() -> None:
    assert best_step(np.zeros((4, 4), dtype=np.float32), is_positive=False) > 0


def test_everything_that_a_product_reads_is_described() -> None:
    graphs = tiny_graphs("float32")

    found = calibrate(tiny_checkpoint().model, *graphs, tiny_samples())

    for graph, activations in zip(graphs, found, strict=True):
        sizes = {tensor.name: tensor.dims[0] for tensor in graph.graph.initializer}
        read = {node.input[0]: sizes[node.input[1]] for node in products(graph.graph)}
        assert {name: len(one.gram) for name, one in activations.items()} == read
        relus = {node.output[0] for node in graph.graph.node if node.op_type == "Relu"}
        assert {name for name, one in activations.items() if one.is_positive} == relus


def test_an_activation_is_what_the_samples_make_of_it() -> None:
    # The first map of a pre-norm encoder reads normalised embeddings: rows of mean square one.
    encoder, decoder = tiny_graphs("float32")
    first, d_model = products(encoder.graph)[0].input[0], tiny_checkpoint().model.d_model

    activations, _ = calibrate(tiny_checkpoint().model, encoder, decoder, tiny_samples())

    assert np.trace(activations[first].gram) == pytest.approx(d_model, rel=1e-3)
    assert 1.5 / 127 < activations[first].step < d_model**0.5 / 127


def test_the_graphs_that_are_observed_are_left_as_they_were() -> None:
    graphs = build_graphs(tiny_checkpoint(), tiny_samples())["float32"]
    before = [graph.SerializeToString() for graph in graphs]

    calibrate(tiny_checkpoint().model, *graphs, tiny_samples())

    assert [graph.SerializeToString() for graph in graphs] == before
