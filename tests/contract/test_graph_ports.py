"""What the runner binds is what the signature of the graphs says."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from export.memory_graphs import FOLDER, memory_graphs
from export.signature import Signature, decoder_signature, encoder_signature
from service.bundle import Bundle
from service.engine.device import Device, Graph, Tensor
from service.engine.runner import Runner
from tests.bundles import tiny_checkpoint

PRECISIONS = ["float32", "float16"]
TOKEN_BLOCK = 64  # of a device that is the CPU


class Ports(Graph):
    """Stands for a graph, and notes what is bound to it."""

    def __init__(self) -> None:
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}

    def bind(
        self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
    ) -> Callable[[], None]:
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        return lambda: None

    def produce(self, inputs: Mapping[str, Tensor], output: str, device: str) -> Any:
        cross = Device(device, np.float16).zeros((4, 1, 2, 40, 16))
        self.inputs, self.outputs = dict(inputs), {output: cross.tensor()}
        return cross.value


def assert_fits(bound: dict[str, Tensor], wanted: Any, axes: dict[str, int]) -> None:
    """Every port of the signature, and no other, with its dtype and sizes."""
    found = {name: (np.dtype(one.dtype).name, one.shape) for name, one in bound.items()}
    assert found == {
        port.name: (port.dtype, tuple(axes.get(axis, axis) for axis in port.axes))
        for port in wanted
    }


def signatures(precision: str) -> tuple[Signature, Signature]:
    config = tiny_checkpoint().model
    return encoder_signature(config, precision), decoder_signature(config, precision)


def make_runner(bundle: Bundle, precision: str) -> tuple[Runner, Ports, Ports]:
    encoder, decoder = Ports(), Ports()
    device = Device("cpu", np.float16) if precision == "float16" else None
    sizes = bundle.manifest.model
    runner = Runner(sizes, encoder, decoder, bos_id=2, eos_id=3, device=device)
    return runner, encoder, decoder


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_encoder_is_fed_every_input_of_its_signature(bundle: Bundle, precision: str) -> None:
    runner, encoder, _ = make_runner(bundle, precision)

    runner.encode([(5, 9, 3), (5, 3)])

    signature, _ = signatures(precision)
    tokens = TOKEN_BLOCK if precision == "float16" else 5
    axes = {"tokens": tokens, "segments": 2, "source": 3}
    assert_fits(encoder.inputs, signature.inputs, axes)
    assert list(encoder.outputs) == [port.name for port in signature.outputs]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_port_of_a_decoder_step_is_bound(bundle: Bundle, precision: str) -> None:
    runner, _, decoder = make_runner(bundle, precision)
    table = runner.slot_table(8, 8_192)
    table.allocate(3, runner.encode([range(64)])[:, 0], 64, runner.bos_id)

    runner.stepper(table).step([2, 0])

    _, signature = signatures(precision)
    rows = 8 if precision == "float16" else 3  # a device works on all slots
    axes = {"rows": rows, "asked": 2, "source": 64, "capacity": 32}
    assert_fits(decoder.inputs, signature.inputs, axes)
    assert_fits(decoder.outputs, signature.outputs, axes)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_cache_is_extended_in_the_memory_it_is_read_from(
    bundle: Bundle, precision: str
) -> None:
    runner, _, decoder = make_runner(bundle, precision)
    table = runner.slot_table(8, 8_192)
    table.allocate(3, runner.encode([range(5)])[:, 0], 5, runner.bos_id)

    runner.stepper(table).step()

    for layer in range(2):
        for kind in ("key", "value"):
            past = decoder.inputs[f"past_{kind}_{layer}"]
            assert past.address == decoder.outputs[f"present_{kind}_{layer}"].address


@pytest.mark.parametrize("precision", ["int8", "float32", "float16"])
def test_shipped_graphs_have_the_ports_that_the_manifest_lists(
    bundle: Bundle, precision: str
) -> None:
    graphs = bundle.manifest.graphs[precision]
    for name, signature in zip(
        (graphs.encoder, graphs.decoder), signatures(precision), strict=True
    ):
        session = onnxruntime.InferenceSession(bundle.path / name)
        assert [one.name for one in session.get_inputs()] == [p.name for p in signature.inputs]
        assert [one.name for one in session.get_outputs()] == [p.name for p in signature.outputs]


def test_the_graphs_that_move_memory_are_those_that_the_export_writes() -> None:
    for name, model in memory_graphs().items():
        assert onnx.load(FOLDER / f"{name}.onnx") == model
