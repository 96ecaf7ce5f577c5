"""Weights beside the graphs are the same weights."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export.weights import ALIGNMENT, MIN_BYTES, Weights

TABLE = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)


def make_graph(*tables: np.ndarray) -> onnx.ModelProto:
    """It adds up rows of `tables`, plus a small tensor."""
    names = [f"table_{number}" for number in range(len(tables))]
    nodes = [helper.make_node("Gather", [name, "ids"], [f"rows_{name}"]) for name in names]
    rows = [f"rows_{name}" for name in names]
    nodes.append(helper.make_node("Sum", [*rows, "bias"], ["y"]))
    initializers = [
        numpy_helper.from_array(table, name) for table, name in zip(tables, names, strict=True)
    ]
    initializers.append(numpy_helper.from_array(np.ones(32, np.float32), "bias"))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])
    graph = helper.make_graph(nodes, "g", [ids], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def places(graph: onnx.ModelProto) -> dict[str, dict[str, str]]:
    """Where the tensors are that are not inside."""
    return {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data}
        for tensor in graph.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
    }


def test_graphs_with_their_weights_beside_them_compute_the_same(tmp_path: Path) -> None:
    odd = np.arange(7 * 101, dtype=np.float32).reshape(-1, 1).repeat(32, axis=1)
    graphs = {"a": make_graph(TABLE, odd), "b": make_graph(odd[:64], TABLE)}
    ids = {"ids": np.array([3, 5, 63])}
    before = {
        name: onnxruntime.InferenceSession(graph.SerializeToString()).run(None, ids)[0]
        for name, graph in graphs.items()
    }
    weights = Weights("w.onnx_data")

    for name, graph in graphs.items():
        weights.take_from(graph)
        (tmp_path / f"{name}.onnx").write_bytes(graph.SerializeToString())
    (tmp_path / weights.file_name).write_bytes(weights.content)

    for name in graphs:
        found = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx").run(None, ids)[0]
        assert (found == before[name]).all()
        assert (tmp_path / f"{name}.onnx").stat().st_size < TABLE.nbytes


def test_what_two_graphs_share_is_there_once() -> None:
    first, second = make_graph(TABLE, TABLE + 1), make_graph(TABLE * 2, TABLE)
    weights = Weights("w.onnx_data")

    weights.take_from(first)
    weights.take_from(second)

    assert places(first)["table_0"] == places(second)["table_1"]
    assert len(weights.content) == 3 * TABLE.nbytes


def test_tensors_begin_where_vector_instructions_like_it_and_small_ones_stay() -> None:
    odd = np.zeros((MIN_BYTES // 4 + 1, 1), np.float32)
    graph = make_graph(
        odd, TABLE[:, :1].repeat(9, axis=1), np.zeros((MIN_BYTES // 4 - 1, 1), np.float32)
    )
    weights = Weights("w.onnx_data")

    weights.take_from(graph)

    found = places(graph)
    assert set(found) == {"table_0", "table_1"}
    assert [int(place["offset"]) % ALIGNMENT for place in found.values()] == [0, 0]
    assert int(found["table_1"]["offset"]) > odd.nbytes


def test_a_graph_keeps_nothing_of_what_it_gave_away() -> None:
    graph = make_graph(TABLE)
    Weights("w.onnx_data").take_from(graph)

    [table, bias] = graph.graph.initializer
    assert not table.raw_data
    assert bias.raw_data
    assert places(graph)["table_0"]["location"] == "w.onnx_data"
