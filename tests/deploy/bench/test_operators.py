"""A profile's events become a table; what a step must do is counted from its graph."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from deploy.bench.machine import Machine
from deploy.bench.operators import (
    PAST,
    ROWS,
    SOURCE,
    WARM_UP,
    Work,
    by_operator,
    profile,
    work_of_step,
)
from deploy.bench.peers import Files
from tests.bundles import write_bundle

MACHINE = Machine(read_bytes={1: 4e9, 2: 1e9}, float32_macs=1e9, int8_macs=4e9)


def an_event(operator: str, node: str, microseconds: float) -> dict[str, object]:
    name = f"{node}_kernel_time"
    return {"cat": "Node", "name": name, "dur": microseconds, "args": {"op_name": operator}}


def test_nodes_of_an_operator_are_summed_and_the_slowest_comes_first() -> None:
    steps = WARM_UP + 3
    events = [an_event("Add", "a", 1.0)] * steps + [an_event("MatMul", "b", 5.0)] * steps
    events += [an_event("Add", "c", 2.0)] * steps
    events.append({"cat": "Session", "name": "model_run", "dur": 99.0})

    seconds, calls = by_operator(events)

    assert seconds == pytest.approx({"MatMul": 5e-6, "Add": 3e-6})
    assert list(seconds) == ["MatMul", "Add"]
    assert calls == {"MatMul": 1, "Add": 2}


def test_one_slow_step_and_the_first_ones_do_not_weigh() -> None:
    taken = [70.0] * WARM_UP + [1.0, 1.0, 1.0, 500.0]

    seconds, _ = by_operator([an_event("Add", "a", each) for each in taken])

    assert seconds == pytest.approx({"Add": 1e-6})


def test_every_port_of_a_decoder_that_is_exported_now_can_be_fed(files: Files) -> None:
    write_bundle(files.bundle)

    for rows in ROWS:
        found = profile("tiny", files, "int8", rows)

        assert found.calls["GroupQueryAttention"] > 0
        assert found.total_seconds > 0


def test_only_constant_matrices_are_counted_as_weights() -> None:
    weights: dict[str, np.ndarray] = {
        "w": np.zeros((8, 16), np.int8),
        "bias": np.zeros(16, np.float32),
    }
    nodes = [
        helper.make_node("MatMulIntegerToFloat", ["x", "w"], ["y"], domain="com.microsoft"),
        helper.make_node("MatMul", ["y", "z"], ["attended"]),
        helper.make_node("Add", ["attended", "bias"], ["sum"]),
    ]
    ports = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_model(helper.make_graph(nodes, "step", [], ports, tensors))

    work = work_of_step(graph, {"num_decoder_layers": 2, "d_model": 8}, rows=3)

    assert work.weight_bytes == 8 * 16
    assert work.product_macs == 3 * 8 * 16
    assert work.attention_macs == 2 * 3 * 2 * (PAST + 1 + SOURCE) * 8
    assert work.cache_bytes == 4 * work.attention_macs


@pytest.mark.parametrize(
    ("weight_bytes", "product_macs", "seconds"),
    [(2**20, 0, 2**20 / 4e9), (2**21, 0, 2**21 / 1e9), (2**23, 0, 2**23 / 1e9), (0, 4e9, 1.0)],
    ids=["from the cache", "from memory", "beyond what was measured", "arithmetic"],
)
def test_the_limit_is_memory_or_arithmetic(
    weight_bytes: int, product_macs: int, seconds: float
) -> None:
    work = Work(
        weight_bytes=weight_bytes, cache_bytes=0, product_macs=product_macs, attention_macs=0
    )

    assert work.floor_seconds(MACHINE, "int8") == pytest.approx(seconds)
