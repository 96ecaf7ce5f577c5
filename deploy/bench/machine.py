"""The limits of this machine on one thread: how fast it reads memory and multiplies matrices."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

READ_MEGABYTES = (4, 16, 64, 256)  # within the caches, and several times as much
ROUNDS = 25
SIDE = 512  # of the square matrices, which stay in the cache


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one thread can do: the best of some rounds, because noise only makes it slower.

    Attributes:
        read_bytes: a second, by how many megabytes are read again and again.
        float32_macs, int8_macs: multiplications a second, of matrices.
    """

    read_bytes: Mapping[int, float]
    float32_macs: float
    int8_macs: float

    def read_seconds(self, num_bytes: int) -> float:
        """Time to read that much, if nothing else is read in between."""
        fitting = [size for size in self.read_bytes if num_bytes <= size * 2**20]
        return num_bytes / self.read_bytes[min(fitting, default=max(self.read_bytes))]

    def __str__(self) -> str:
        reads = ", ".join(f"{size} MB: {rate / 1e9:.0f}" for size, rate in self.read_bytes.items())
        return (
            f"GB/s read of {reads}; {self.float32_macs / 1e9:.0f} G float32 and "
            f"{self.int8_macs / 1e9:.0f} G int8 multiplications a second"
        )


def measure_machine() -> Machine:
    """Time reads of more and more memory, and products of matrices as the graphs use them."""
    macs = SIDE**3
    return Machine(
        read_bytes={size: size * 2**20 / _seconds(_reader(size)) for size in READ_MEGABYTES},
        float32_macs=macs / _seconds(_multiplier("float32")),
        int8_macs=macs / _seconds(_multiplier("int8")),
    )


def _seconds(run: Callable[[], object]) -> float:
    run()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _reader(megabytes: int) -> Callable[[], object]:
    """A vector times itself: one instruction for many numbers, so that it waits for memory."""
    values = np.ones(megabytes * 2**20 // 4, dtype=np.float32)
    return lambda: np.dot(values, values)


def _multiplier(precision: str) -> Callable[[], object]:
    """A product with a constant matrix, by the kernel that the graphs of that precision call."""
    random = np.random.default_rng(1)
    x: Any = random.standard_normal((SIDE, SIDE), dtype=np.float32)
    if precision == "float32":
        weights: dict[str, Any] = {"w": x}
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        kind = TensorProto.FLOAT
    else:
        x = random.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
        weights = {
            "w": random.integers(-127, 127, (SIDE, SIDE), dtype=np.int8),
            "zero": np.uint8(128),
        }
        node = helper.make_node("MatMulInteger", ["x", "w", "zero"], ["y"])
        kind = TensorProto.UINT8
    result = TensorProto.FLOAT if precision == "float32" else TensorProto.INT32
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", kind, [SIDE, SIDE])],
        [helper.make_tensor_value_info("y", result, [SIDE, SIDE])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})
