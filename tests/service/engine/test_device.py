"""Memory of a device does what the host's does; here the device is the CPU."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import Sizes
from service.engine import device as device_module
from service.engine.device import Device, DeviceArray, Graph, cuda_obstacle, on_host
from service.engine.memory import Fork, HostMemory, Join
from service.engine.scores import Floats
from service.engine.slots import SlotTable
from service.errors import BundleError

SHAPE = (4, 5, 2, 8, 6)  # (place, slot, heads, capacity, head_dim)
SIZES = Sizes(vocab_size=9, d_model=4, num_heads=2, num_decoder_layers=1)
DEVICE, HOST = Device("cpu", np.float16), HostMemory()


def numbers(shape: tuple[int, ...], seed: int = 1) -> Floats:
    """Numbers that float16 holds exactly."""
    return np.random.default_rng(seed).integers(-2_000, 2_000, shape).astype(np.float32)


def to_device(array: Floats) -> DeviceArray:
    return DEVICE.copy_of(array.astype(np.float16))


def to_host(array: DeviceArray) -> Floats:
    return DEVICE.read(array, [(place,) for place in range(array.shape[0])]).astype(np.float32)


def test_what_was_copied_there_is_read_back() -> None:
    array = numbers(SHAPE)

    there = to_device(array)

    assert there.shape == SHAPE
    assert there.dtype == np.float16
    assert there.nbytes == array.nbytes // 2
    np.testing.assert_array_equal(to_host(there), array)
    parts = DEVICE.read(there, [(2, 3, 1), (0, 4, 0)])
    np.testing.assert_array_equal(parts, array[[2, 0], [3, 4], [1, 0]])


def test_new_memory_holds_zeros() -> None:
    assert not to_host(DEVICE.zeros(SHAPE)).any()


@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 5))
def test_fitting_keeps_what_busy_slots_hold(slots: int, capacity: int, num_busy: int) -> None:
    array, num_busy = numbers(SHAPE), min(num_busy, slots)
    shape = (SHAPE[0], slots, SHAPE[2], capacity, SHAPE[4])

    found = to_host(DEVICE.fitted(to_device(array), shape, num_busy))

    np.testing.assert_array_equal(found, HOST.fitted(array, shape, num_busy))


def test_forks_are_copies_of_whole_slots() -> None:
    array = numbers(SHAPE)
    there = to_device(array)

    DEVICE.fork(there, [Fork(0, 3, 8), Fork(0, 1, 8), Fork(4, 2, 8)])

    np.testing.assert_array_equal(to_host(there), array[:, [0, 0, 4, 0, 4]])


@pytest.mark.parametrize("longest", [3, 8, 11])
def test_sources_are_written_to_slots_whatever_room_they_came_in(longest: int) -> None:
    first, second = (numbers((4, 3, 2, longest, 6), seed) for seed in (2, 3))
    there, wanted = DEVICE.zeros(SHAPE), HOST.zeros(SHAPE)
    kept = min(longest, SHAPE[3])
    ours = [to_device(first), to_device(second)]

    DEVICE.join(
        there,
        [
            Join(ours[0][:, 1], [2], kept),
            Join(ours[1][:, 0], [0, 4], kept),
            Join(ours[0][:, 2], [1], kept),
        ],
    )

    HOST.join(
        wanted,
        [
            Join(first[:, 1], [2], kept),
            Join(second[:, 0], [0, 4], kept),
            Join(first[:, 2], [1], kept),
        ],
    )
    np.testing.assert_array_equal(to_host(there), wanted)


def test_all_slots_have_memory_at_all_times() -> None:
    table = SlotTable(SIZES, 6, max_tokens=64, memory=DEVICE)

    assert table.cache.shape[1] == table.num_rows == 6


def test_slots_stay_where_they_are_and_holes_are_taken_first() -> None:
    table = SlotTable(SIZES, 6, max_tokens=64, memory=DEVICE)
    cross = DEVICE.zeros((2, 1, 2, 3, 2))[:, 0]
    first, second = (table.allocate(2, cross, 3, bos_id=2) for _ in range(2))
    table.advance(second, [7, 8])

    assert table.free(first[:1]) == {}

    assert table.allocate(2, cross, 3, bos_id=2) == [0, 4]
    assert table.num_busy == 5
    assert table.lengths.tolist() == [0, 0, 1, 1, 0, 0]
    assert table.ids[:5].tolist() == [2, 2, 7, 8, 2]


def test_a_segment_takes_all_slots_that_it_may_have_at_once() -> None:
    table = SlotTable(SIZES, 6, max_tokens=64, memory=DEVICE)
    cross = DEVICE.zeros((2, 1, 2, 3, 2))[:, 0]

    slots = table.allocate(1, cross, 3, bos_id=2, num_more=3)

    assert table.reorder(slots, [0, 0, 0, 0]) == [0, 3, 2, 1]
    assert table.num_busy == table.num_held == 4


def test_room_that_was_made_is_kept() -> None:
    table = SlotTable(SIZES, 6, max_tokens=64, memory=DEVICE)
    slots = table.allocate(2, DEVICE.zeros((2, 1, 2, 40, 2))[:, 0], 40, bos_id=2)
    table.lengths[slots] = 70
    table.fit_target()
    table.free(slots)
    generation = table.generation

    table.allocate(2, DEVICE.zeros((2, 1, 2, 3, 2))[:, 0], 3, bos_id=2)
    table.fit_target()

    assert (table.cross.shape[3], table.cache.shape[3]) == (64, 128)
    assert table.generation == generation


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph")

    with pytest.raises(BundleError, match=r"graph\.onnx cannot be loaded"):
        Graph(tmp_path / "graph.onnx")


def test_no_memory_is_laid_out_by_shapes_that_hardly_come_again() -> None:
    graph = Graph(Path(device_module.__file__).parent / "graphs" / "read.onnx")

    assert not graph.session.get_session_options().enable_mem_pattern


def test_a_build_that_offers_cuda_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "runtime_facts", lambda: ("9", ["CUDAExecutionProvider"]))
    cuda_obstacle.cache_clear()
    try:
        obstacle = cuda_obstacle()
    finally:
        cuda_obstacle.cache_clear()

    assert obstacle.startswith("onnxruntime 9 cannot use a GPU here: ")


def test_numbers_on_the_host_are_bound_where_they_are() -> None:
    array = numbers(SHAPE)

    bound = on_host(array)

    assert (bound.device, bound.address, bound.owner) == ("cpu", array.ctypes.data, array)
