"""A decoder-step graph with memory of its own at every port, to be run step after step."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from deploy.bench.factor_graphs import Array, Variant

SEED = 1


class Loop:
    """Runs a variant, the caches in place.

    Attributes:
        arrays: what lies at each port, by name.
    """

    def __init__(
        self, variant: Variant, *, rows: int, source: int, capacity: int, profile: str = ""
    ) -> None:
        """Bind zeros to all ports.

        Args:
            source, capacity: positions that there is room for, of sources and of targets.
            profile: what the name of the profiler's file begins with; empty for none.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it would name each constant that a variant leaves unused
        options.enable_profiling = bool(profile)
        options.profile_file_prefix = profile
        self.variant = variant
        self._session = onnxruntime.InferenceSession(
            variant.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._binding = self._session.io_binding()
        axes = {"rows": rows, "source": source, "capacity": capacity, "asked": 0}
        self.arrays: dict[str, Array] = {}
        graph = variant.model.graph
        for port in graph.input:
            self.arrays[port.name] = variant.fed.get(port.name, _zeros(port, axes))
        for port in graph.output:
            place = variant.in_place.get(port.name)
            self.arrays[port.name] = self.arrays[place] if place else _zeros(port, axes)
        for ports, bind in (
            (graph.input, self._binding.bind_input),
            (graph.output, self._binding.bind_output),
        ):
            for port in ports:
                array = self.arrays[port.name]
                bind(port.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self) -> None:
        """One run, at the same place as the one before unless `go_on` was called."""
        self._session.run_with_iobinding(self._binding)

    def go_on(self) -> None:
        """Feed what was chosen last."""
        self.arrays["ids"][:] = self.arrays[self.variant.chosen[-1]]
        self.arrays["lengths"] += len(self.variant.chosen)
        self.arrays["total_length"] += len(self.variant.chosen)

    def read_sources(self, cross: Array, lengths: Sequence[int]) -> None:
        """Begin with these sources: (place, row, heads, source, head_dim)."""
        for place, values in enumerate(cross):
            name = f"cross_{('key', 'value')[place % 2]}_{place // 2}"
            self.arrays[name][:] = self.variant.stored(name, values)
        self.arrays["source_lengths"][:] = lengths
        self.arrays["total_length"][:] = 1

    def stand_at(self, past: int, source: int) -> None:
        """Stand behind `past` tokens, and sources of so many, with noise in the caches."""
        generator = np.random.default_rng(SEED)
        for name in {*self.variant.in_place.values(), *self._crosses()}:
            noise = generator.normal(size=self.arrays[name].shape)
            self.arrays[name][:] = self.variant.stored(name, noise)
        self.arrays["lengths"][:] = past
        self.arrays["total_length"][:] = past + 1
        self.arrays["source_lengths"][:] = source

    def _crosses(self) -> list[str]:
        return [name for name in self.arrays if name.startswith("cross_") and name[-1].isdigit()]

    def largest(self) -> dict[str, Array]:
        """The largest magnitude in each cache, by channel: (heads, 1, head_dim)."""
        names = {*self.variant.in_place.values(), *self._crosses()}
        return {name: np.abs(self.arrays[name]).max(axis=(0, 2))[:, None] for name in names}

    def profile(self) -> list[dict[str, Any]]:
        """What the profiler saw, as events; no run may follow."""
        path = Path(self._session.end_profiling())
        events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return events


def _zeros(port: onnx.ValueInfoProto, axes: dict[str, int]) -> Array:
    kind = port.type.tensor_type
    shape = [axes[dim.dim_param] if dim.dim_param else dim.dim_value for dim in kind.shape.dim]
    return np.zeros(shape, dtype=helper.tensor_dtype_to_np_dtype(kind.elem_type))
