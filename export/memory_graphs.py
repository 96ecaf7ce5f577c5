"""The graphs that move caches on a device, for any model: `python -m export.memory_graphs`.

They know nothing of what they move: an array of any kind comes as words of 4 bytes, which are never
computed with.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graph import IR_VERSION, OPSET

FOLDER = Path(__file__).parents[1] / "service" / "engine" / "graphs"
WORD, INDEX = TensorProto.FLOAT, TensorProto.INT64

Port = tuple[str, int, list[str | int]]


def memory_graphs() -> dict[str, onnx.ModelProto]:
    """All of them, by name."""
    return {"move": _move(), "fit": _fit(), "read": _read()}


def _move() -> onnx.ModelProto:
    """Copy some rows of one array over rows of another one; bind `moved` to `target`."""
    return _model(
        [
            helper.make_node("Gather", ["source", "from"], ["rows"]),
            helper.make_node("Unsqueeze", ["to", "axes"], ["places"]),
            helper.make_node("ScatterND", ["target", "places", "rows"], ["moved"]),
        ],
        inputs=[
            ("source", WORD, ["sources", "words"]),
            ("target", WORD, ["targets", "words"]),
            ("from", INDEX, ["count"]),
            ("to", INDEX, ["count"]),
        ],
        outputs=[("moved", WORD, ["targets", "words"])],
        constants={"axes": [1]},
    )


def _fit() -> onnx.ModelProto:
    """Keep the first of axes 1 and 3, as many as `kept` says, and put zeros behind them."""
    return _model(
        [
            helper.make_node("Slice", ["array", "starts", "kept", "axes"], ["part"]),
            helper.make_node("Pad", ["part", "pads"], ["fitted"]),
        ],
        inputs=[
            ("array", WORD, ["places", "slots", "heads", "capacity", "words"]),
            ("kept", INDEX, [2]),
            ("pads", INDEX, [10]),
        ],
        outputs=[("fitted", WORD, ["places", "new_slots", "heads", "new_capacity", "words"])],
        constants={"starts": [0, 0], "axes": [1, 3]},
    )


def _read() -> onnx.ModelProto:
    """Some rows of an array."""
    return _model(
        [helper.make_node("Gather", ["array", "rows"], ["found"])],
        inputs=[("array", WORD, ["all", "words"]), ("rows", INDEX, ["count"])],
        outputs=[("found", WORD, ["count", "words"])],
        constants={},
    )


def _model(
    nodes: list[onnx.NodeProto],
    *,
    inputs: list[Port],
    outputs: list[Port],
    constants: dict[str, list[int]],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "memory",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        [
            numpy_helper.from_array(np.array(values, dtype=np.int64), name)
            for name, values in constants.items()
        ],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="dragoman")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    for name, model in memory_graphs().items():
        (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())
