"""What the runner binds is what the signature of the graphs says."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from export.signature import Signature, decoder_signature, encoder_signature
from service.bundle import Bundle
from service.engine.runner import Runner
from service.engine.slots import SlotTable
from tests.bundles import tiny_checkpoint

Ports = dict[str, tuple[str, tuple[int, ...]]]


class Session:
    """Notes what a runner feeds to a graph and what it asks for."""

    def __init__(self) -> None:
        self.inputs: Ports = {}
        self.outputs: Ports = {}
        self.addresses: dict[str, int] = {}

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        self.inputs = {name: (str(value.dtype), value.shape) for name, value in feeds.items()}
        self.outputs = dict.fromkeys(outputs, ("", ()))
        return [np.zeros((4, 1, 2, 3, 16), dtype=np.float32)]

    def io_binding(self) -> "Session":
        return self

    def run_with_iobinding(self, binding: object) -> None:
        assert binding is self

    def bind_input(
        self, name: str, _device: str, _id: int, dtype: Any, shape: Any, address: int
    ) -> None:
        self.inputs[name] = (np.dtype(dtype).name, tuple(shape))
        self.addresses[name] = address

    def bind_output(
        self, name: str, _device: str, _id: int, dtype: Any, shape: Any, address: int
    ) -> None:
        self.outputs[name] = (np.dtype(dtype).name, tuple(shape))
        self.addresses[name] = address


def assert_fits(ports: Ports, wanted: Any, axes: dict[str, int]) -> None:
    """Every port of the signature, and no other, with its dtype and sizes."""
    found = {name: (dtype, shape) for name, (dtype, shape) in ports.items()}
    assert found == {
        port.name: (port.dtype, tuple(axes.get(axis, axis) for axis in port.axes))
        for port in wanted
    }


@pytest.fixture
def signatures() -> tuple[Signature, Signature]:
    config = tiny_checkpoint().model
    return encoder_signature(config), decoder_signature(config)


def make_runner(bundle: Bundle) -> tuple[Runner, Session, Session]:
    encoder, decoder = Session(), Session()
    runner = Runner(bundle.manifest.model, encoder, decoder, bos_id=2, eos_id=3)
    return runner, encoder, decoder


def test_the_encoder_is_fed_every_input_of_its_signature(
    bundle: Bundle, signatures: tuple[Signature, Signature]
) -> None:
    runner, encoder, _ = make_runner(bundle)

    runner.encode([(5, 9, 3), (5, 3)])

    assert_fits(encoder.inputs, signatures[0].inputs, {"tokens": 5, "segments": 2, "source": 3})
    assert list(encoder.outputs) == [port.name for port in signatures[0].outputs]


def test_every_port_of_a_decoder_step_is_bound(
    bundle: Bundle, signatures: tuple[Signature, Signature]
) -> None:
    runner, _, decoder = make_runner(bundle)
    table = SlotTable(runner.sizes, 8, 8_192)
    table.allocate(3, np.zeros((4, 2, 40, 16), dtype=np.float32), 40, runner.bos_id)

    runner.stepper(table).step([2, 0])

    axes = {"rows": 3, "asked": 2, "source": 64, "capacity": 32}
    assert_fits(decoder.inputs, signatures[1].inputs, axes)
    assert_fits(decoder.outputs, signatures[1].outputs, axes)


def test_each_cache_is_extended_in_the_memory_it_is_read_from(bundle: Bundle) -> None:
    runner, _, decoder = make_runner(bundle)
    table = SlotTable(runner.sizes, 8, 8_192)
    table.allocate(3, np.zeros((4, 2, 5, 16), dtype=np.float32), 5, runner.bos_id)

    runner.stepper(table).step()

    for layer in range(2):
        for kind in ("key", "value"):
            past = decoder.addresses[f"past_{kind}_{layer}"]
            assert past == decoder.addresses[f"present_{kind}_{layer}"]


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_shipped_graphs_have_the_ports_that_the_manifest_lists(
    bundle: Bundle, signatures: tuple[Signature, Signature], precision: str
) -> None:
    graphs = bundle.manifest.graphs[precision]
    for name, signature in zip((graphs.encoder, graphs.decoder), signatures, strict=True):
        session = onnxruntime.InferenceSession(bundle.path / name)
        assert [one.name for one in session.get_inputs()] == [p.name for p in signature.inputs]
        assert [one.name for one in session.get_outputs()] == [p.name for p in signature.outputs]
