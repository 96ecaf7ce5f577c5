"""Where a decode step spends its time: a profile by operator, beside what the step has to do."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
from rich.console import Console

from deploy.bench.machine import Machine
from deploy.bench.peers import Files, Precision
from deploy.bench.plan import Plan

ROWS = (1, 16)
SOURCE, PAST, CAPACITY = 20, 20, 64  # tokens read, tokens written so far, and room for more
ASKED = 0  # rows whose candidates are wanted: greedy search wants none
STEPS, WARM_UP = 60, 20
FLOAT_BYTES = 4
# What the graph is fed; every other number is zero.
VALUES = {"ids": 5, "lengths": PAST, "total_length": PAST + 1, "source_lengths": SOURCE}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one step must do at least, whatever graph it is written in.

    Attributes:
        weight_bytes: of the matrices, each read once; cache_bytes: keys and values read.
        product_macs: multiplications with weights; attention_macs: with keys and values.
    """

    weight_bytes: int
    cache_bytes: int
    product_macs: int
    attention_macs: int

    def floor_seconds(self, machine: Machine, precision: Precision) -> float:
        """Time below which one thread of that machine cannot go: memory or arithmetic."""
        macs = machine.int8_macs if precision == "int8" else machine.float32_macs
        reading = machine.read_seconds(self.weight_bytes + self.cache_bytes)
        products = self.product_macs / macs + self.attention_macs / machine.float32_macs
        return max(reading, products)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Seconds of one step, by operator, slowest first; `calls` counts its nodes."""

    subject: str
    precision: Precision
    rows: int
    seconds: Mapping[str, float]
    calls: Mapping[str, int]
    work: Work

    @property
    def total_seconds(self) -> float:
        """Of all operators, the time between them left out."""
        return sum(self.seconds.values())


def run_operators(
    plan: Plan, models: Mapping[str, Files], machine: Machine, console: Console
) -> list[dict[str, Any]]:
    """Profile the decoders of a plan, and print where they stand against the machine."""
    results = []
    for subject, files in models.items():
        for precision in plan.precisions:
            for rows in ROWS:
                found = profile(subject, files, precision, rows)
                floor = found.work.floor_seconds(machine, precision)
                _print(found, floor, console)
                results.append({**asdict(found), "floor_seconds": floor})
    return results


def profile(subject: str, files: Files, precision: Precision, rows: int) -> Profile:
    """Run the decoder of a bundle on one thread, and sort its time by operator."""
    manifest = json.loads((files.bundle / "manifest.json").read_text(encoding="utf-8"))
    path = files.bundle / manifest["graphs"][precision]["decoder"]
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        binding, keep = _bind(session, manifest["signature"]["decoder"], rows)
        for _ in range(WARM_UP + STEPS):
            session.run_with_iobinding(binding)
        del keep
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    seconds, calls = by_operator(events)
    work = work_of_step(onnx.load(path), manifest["model"], rows)
    return Profile(
        subject=subject, precision=precision, rows=rows, seconds=seconds, calls=calls, work=work
    )


def _bind(
    session: onnxruntime.InferenceSession, signature: Mapping[str, Any], rows: int
) -> tuple[Any, list[np.ndarray]]:
    """All ports bound to memory of their own, caches in place; and that memory, to be kept."""
    axes = {"rows": rows, "source": SOURCE, "capacity": CAPACITY, "asked": ASKED}
    binding, arrays = session.io_binding(), {}
    for port in signature["inputs"]:
        shape = [axes.get(axis, axis) for axis in port["axes"]]
        arrays[port["name"]] = np.full(shape, VALUES.get(port["name"], 0), dtype=port["dtype"])
    inputs = list(arrays)
    for port in signature["outputs"]:
        past = port["name"].replace("present", "past")
        shape = [axes.get(axis, axis) for axis in port["axes"]]
        arrays[port["name"]] = arrays.get(past, np.zeros(shape, dtype=port["dtype"]))
    for name, array in arrays.items():
        bind = binding.bind_input if name in inputs else binding.bind_output
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return binding, list(arrays.values())


def by_operator(events: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and nodes of each operator in a step, out of what onnxruntime wrote.

    Each node counts with its median, so that a step in which the machine was busy elsewhere does
    not weigh.
    """
    nodes: dict[tuple[str, str], list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = event["args"]["op_name"], event["name"]
            nodes.setdefault(key, []).append(event["dur"] / 1e6)
    seconds: dict[str, float] = {}
    calls: dict[str, int] = {}
    for (operator, _), taken in nodes.items():
        seconds[operator] = seconds.get(operator, 0.0) + median(
            taken[min(WARM_UP, len(taken) - 1) :]
        )
        calls[operator] = calls.get(operator, 0) + 1
    order = sorted(seconds, key=lambda operator: -seconds[operator])
    return {name: seconds[name] for name in order}, {name: calls[name] for name in order}


def work_of_step(graph: onnx.ModelProto, sizes: Mapping[str, Any], rows: int) -> Work:
    """Count constant matrices that are multiplied with, and the caches that are attended."""
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    matrices = [
        weights[name]
        for node in graph.graph.node
        if "MatMul" in node.op_type or "Gemm" in node.op_type
        for name in node.input
        if name in weights and len(weights[name].dims) == 2
    ]
    elements = sum(int(np.prod(matrix.dims)) for matrix in matrices)
    # A key and a value of each position, of the source and of the target so far.
    attended = 2 * rows * sizes["num_decoder_layers"] * (PAST + 1 + SOURCE) * sizes["d_model"]
    return Work(
        weight_bytes=sum(onnx.numpy_helper.to_array(matrix).nbytes for matrix in matrices),
        cache_bytes=attended * FLOAT_BYTES,
        product_macs=rows * elements,
        attention_macs=attended,
    )


def _print(found: Profile, floor: float, console: Console) -> None:
    work, total = found.work, found.total_seconds
    console.print(
        f"\n{found.subject}, {found.precision}, a decode step of {found.rows} row(s): "
        f"{1e6 * total:.0f} us; {(work.weight_bytes + work.cache_bytes) / 1e6:.1f} MB to read, "
        f"{(work.product_macs + work.attention_macs) / 1e6:.1f} M multiplications; "
        f"limit of one thread {1e6 * floor:.0f} us, {total / floor:.1f} times away"
    )
    for operator, seconds in found.seconds.items():
        if seconds >= 0.01 * total:
            console.print(
                f"  {operator:28} {found.calls[operator]:4} nodes {1e6 * seconds:9.1f} us "
                f"{seconds / total:5.0%}"
            )
