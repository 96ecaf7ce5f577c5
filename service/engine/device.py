"""Graphs, and memory on the device that runs them: the only user of onnxruntime."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# Since 1.29 it reports every session to its vendor, unless this is set before it is imported:
# `disable_telemetry_events` comes too late. It would also keep an identifier on the disk.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from service.engine.memory import Fork, Join, Shape
from service.errors import BundleError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_GRAPHS = Path(__file__).parent / "graphs"
_WORD = np.dtype(np.float32)  # what the graphs that move memory take 4 bytes of anything for


def runtime_facts() -> tuple[str, list[str]]:
    """Version of onnxruntime, and the providers it was built with."""
    return onnxruntime.__version__, onnxruntime.get_available_providers()


@cache
def cuda_obstacle() -> str:
    """Why there is no GPU to run graphs on; empty if there is one.

    A build of onnxruntime for CUDA offers it where there is no GPU, too, so it is tried.
    """
    version, providers = runtime_facts()
    if PROVIDERS["cuda"] not in providers:
        return f"onnxruntime {version} offers {', '.join(providers)}"
    onnxruntime.preload_dlls()  # of CUDA, if they came as packages of Python
    try:
        gpu = Device("cuda", np.float32)
        gpu.read(gpu.zeros((1, 1)), [(0,)])
    except Exception as error:  # noqa: BLE001 - onnxruntime has no error class of its own
        return f"onnxruntime {version} cannot use a GPU here: {error}"
    return ""


class Tensor(NamedTuple):
    """Where the numbers of a graph's port lie; `owner` keeps them there."""

    device: str
    dtype: npt.DTypeLike
    shape: Shape
    address: int
    owner: object


def on_host(array: npt.NDArray[Any]) -> Tensor:
    """The memory of a contiguous array of numpy."""
    return Tensor("cpu", array.dtype, array.shape, array.ctypes.data, array)


class Graph:
    """One graph, ready to run on one core of the host, or on a GPU.

    Attributes:
        session: of onnxruntime.
    Raises:
        BundleError: naming the file, if onnxruntime cannot load it.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # It would ask for one block a run, of ever new sizes, and the arena keeps all of them.
        options.enable_mem_pattern = device != "cpu"
        providers = [PROVIDERS["cpu"]] if device == "cpu" else [PROVIDERS[device], PROVIDERS["cpu"]]
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        # onnxruntime has no error class of its own: its exceptions derive from Exception.
        except Exception as error:
            raise BundleError(f"{path} cannot be loaded: {error}") from error

    @property
    def provider(self) -> str:
        """What runs it, in onnxruntime's words."""
        return str(self.session.get_providers()[0])

    def bind(
        self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
    ) -> Callable[[], None]:
        """What runs the graph from and to this memory, as often as it is called.

        Inputs on the host that the device reads are copied now, and not again.
        """
        binding = self.session.io_binding()
        for name, (device, dtype, shape, address, _) in inputs.items():
            binding.bind_input(name, device, 0, dtype, shape, address)
        for name, (device, dtype, shape, address, _) in outputs.items():
            binding.bind_output(name, device, 0, dtype, shape, address)
        owners = [tensor.owner for tensor in (*inputs.values(), *outputs.values())]

        def run() -> None:
            assert owners, "a graph has ports"
            self.session.run_with_iobinding(binding)

        return run

    def produce(self, inputs: Mapping[str, Tensor], output: str, device: str) -> Any:
        """Run once, and return an output in new memory on a device: a value of onnxruntime."""
        binding = self.session.io_binding()
        for name, (place, dtype, shape, address, _) in inputs.items():
            binding.bind_input(name, place, 0, dtype, shape, address)
        binding.bind_output(output, device)
        self.session.run_with_iobinding(binding)
        return binding.get_outputs()[0]


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """An array in the memory of a device; `[:, i]` names a part of it, to be moved.

    Attributes:
        dtype, shape: as of numpy.
    """

    device: str
    dtype: np.dtype[Any]
    shape: Shape
    value: Any

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, index: tuple[slice, int]) -> "tuple[DeviceArray, int]":
        return self, index[1]

    def tensor(self, *index: int, rows: int | None = None) -> Tensor:
        """The part with these indices on the first axes, and of that the first `rows`."""
        shape, address = self.shape, self.value.data_ptr()
        for place in index:
            shape = shape[1:]
            address += place * int(np.prod(shape)) * self.dtype.itemsize
        if rows is not None:
            shape = (rows, *shape[1:])
        return Tensor(self.device, self.dtype, shape, address, self.value)

    def words(self, *shape: int) -> Tensor:
        """All of it as words of 4 bytes; -1 stands for what is left."""
        num_words = self.nbytes // _WORD.itemsize
        known = int(np.prod([size for size in shape if size != -1]))
        sizes = tuple(num_words // known if size == -1 else size for size in shape)
        return Tensor(self.device, _WORD, sizes, self.value.data_ptr(), self.value)


class Device:
    """Memory of one device, and the graphs that move what is in it.

    Caches of hypotheses and sources never leave it. Slots are moved whole: to leave out what is
    behind a hypothesis would cost more than it saves.
    """

    takes_all_slots = True

    def __init__(self, name: str, dtype: npt.DTypeLike) -> None:
        """Load the graphs.

        Args:
            name: "cpu" or "cuda"; dtype: of keys and values.
        """
        self.name = name
        self._dtype = np.dtype(dtype)

    @cached_property
    def _graphs(self) -> dict[str, Graph]:
        return {
            name: Graph(_GRAPHS / f"{name}.onnx", self.name) for name in ("move", "fit", "read")
        }

    def empty(self, shape: Shape, dtype: npt.DTypeLike) -> DeviceArray:
        """A new array that holds anything."""
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, self.name)
        return DeviceArray(self.name, np.dtype(dtype), shape, value)

    def copy_of(self, array: npt.NDArray[Any]) -> DeviceArray:
        """A new array with what is in `array`."""
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array.copy(), self.name)
        return DeviceArray(self.name, array.dtype, array.shape, value)

    def upload(self, array: npt.NDArray[Any], target: DeviceArray) -> None:
        """Copy from the host; `target` has the same shape."""
        target.value.update_inplace(array)

    def zeros(self, shape: Shape) -> DeviceArray:
        """A new array of keys or values."""
        return self.copy_of(np.zeros(shape, dtype=self._dtype))

    def fitted(self, array: DeviceArray, shape: Shape, num_slots: int) -> DeviceArray:
        """A new array with what the first slots hold."""
        kept = num_slots, min(shape[3], array.shape[3])
        pads = np.zeros((2, 5), dtype=np.int64)
        pads[1, [1, 3]] = shape[1] - kept[0], shape[3] - kept[1]
        inputs = {
            "array": array.words(*array.shape[:4], -1),
            "kept": on_host(np.array(kept, dtype=np.int64)),
            "pads": on_host(pads.ravel()),
        }
        value = self._graphs["fit"].produce(inputs, "fitted", self.name)
        return DeviceArray(self.name, array.dtype, shape, value)

    def join(self, array: DeviceArray, joins: Sequence[Join]) -> None:
        """Write sources into slots; those of one run of the encoder, all at once."""
        by_array: dict[int, list[Join]] = {}
        for join in joins:
            by_array.setdefault(id(join.cross[0]), []).append(join)
        for group in by_array.values():
            source = group[0].cross[0]
            if source.shape[3] != array.shape[3]:
                shape = (*source.shape[:3], *array.shape[3:])
                source = self.fitted(source, shape, source.shape[1])
            pairs = [(join.cross[1], slot) for join in group for slot in join.slots]
            self._move(source, array, pairs)

    def fork(self, array: DeviceArray, forks: Sequence[Fork]) -> None:
        """Copy between slots."""
        self._move(array, array, [(fork.source, fork.target) for fork in forks])

    def _move(
        self, source: DeviceArray, target: DeviceArray, pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Copy slots: pairs of where from and where to."""
        places = np.arange(source.shape[0], dtype=np.int64)[:, None]
        slots = np.array(pairs, dtype=np.int64)  # (pair, 2)
        rows = target.words(target.shape[0] * target.shape[1], -1)
        self._graphs["move"].bind(
            {
                "source": source.words(source.shape[0] * source.shape[1], -1),
                "target": rows,
                "from": on_host((places * source.shape[1] + slots[:, 0]).ravel()),
                "to": on_host((places * target.shape[1] + slots[:, 1]).ravel()),
            },
            {"moved": rows},
        )()

    def read(self, array: DeviceArray, indices: Sequence[tuple[int, ...]]) -> npt.NDArray[Any]:
        """Copy the parts with these indices on the first axes to the host, all at once."""
        num_axes = len(indices[0])
        shape = array.shape[:num_axes]
        found = np.empty((len(indices), *array.shape[num_axes:]), dtype=array.dtype)
        rows = np.ravel_multi_index(tuple(np.array(indices).T), shape)
        self._graphs["read"].bind(
            {
                "array": array.words(int(np.prod(shape)), -1),
                "rows": on_host(rows.astype(np.int64)),
            },
            {"found": on_host(found.reshape(len(indices), -1).view(_WORD))},
        )()
        return found
