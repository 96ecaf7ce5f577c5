"""The two graphs of a bundle: encode sources, and decode a token for every slot."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from service.bundle import Bundle, Sizes
from service.engine.device import Device, DeviceArray, Graph, on_host
from service.engine.limits import GPU_ENCODE_TOKENS
from service.engine.memory import HostMemory
from service.engine.slots import SlotTable
from service.engine.stepper import DeviceStepper, Stepper

TOKEN_BLOCK = {"cpu": 64, "cuda": GPU_ENCODE_TOKENS}
"""A device encodes a multiple of so many tokens, so that a product always takes the same kernel."""


class Runner:
    """Runs the encoder and the decoder step of one bundle.

    Graphs of float16 work in the memory of a device, which may be the CPU, too; others in that of
    the host.

    Attributes:
        sizes: the model's shape; bos_id, eos_id: of the bundle.
        encoder, decoder: the graphs.
        device: where float16 graphs keep their memory; None is the host.
    """

    def __init__(
        self,
        sizes: Sizes,
        encoder: Graph,
        decoder: Graph,
        *,
        bos_id: int,
        eos_id: int,
        device: Device | None = None,
    ) -> None:
        self.sizes = sizes
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.encoder = encoder
        self.decoder = decoder
        self.device = device

    @classmethod
    def load(cls, bundle: Bundle, precision: str, device: str = "cpu") -> Self:
        """Open the graphs of one precision; on the CPU a run of one takes one core.

        Args:
            device: "cpu", or "cuda" for float16.
        Raises:
            BundleError: naming the file, if onnxruntime cannot load a graph.
        """
        graphs = bundle.manifest.graphs[precision]
        encoder, decoder = (
            Graph(bundle.path / name, device) for name in (graphs.encoder, graphs.decoder)
        )
        special = bundle.manifest.special_ids
        return cls(
            bundle.manifest.model,
            encoder,
            decoder,
            bos_id=special.bos_id,
            eos_id=special.eos_id,
            device=Device(device, np.float16) if precision == "float16" else None,
        )

    @property
    def provider(self) -> str:
        """What runs the decoder, in onnxruntime's words."""
        return self.decoder.provider

    def encode(self, sources: Sequence[Sequence[int]]) -> Any:
        """Keys and values of all `sources`: (place, segment, heads, source, head_dim).

        Tokens are packed one after the other; only attention sees padding.
        """
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        longest, total = int(lengths.max()), int(lengths.sum())
        places = np.arange(longest, dtype=np.int64)
        is_token = places < lengths[:, None]  # (segment, source)
        starts = np.cumsum(lengths) - lengths  # (segment)
        block = TOKEN_BLOCK[self.device.name] if self.device else 1
        packed = np.zeros((3, -(-total // block) * block), dtype=np.int64)  # (kind, tokens)
        packed[0, :total] = np.concatenate([np.array(source) for source in sources])
        packed[1, :total] = np.nonzero(is_token)[1]
        packed[2, :total] = np.flatnonzero(is_token)
        inputs = {
            "ids": packed[0],
            "positions": packed[1],
            "padded_index": np.where(is_token, starts[:, None] + places, 0),
            "packed_index": packed[2],
            "lengths": lengths,
        }
        shape = (
            2 * self.sizes.num_decoder_layers,
            len(sources),
            self.sizes.num_heads,
            longest,
            self.sizes.head_dim,
        )
        feeds = {name: on_host(array) for name, array in inputs.items()}
        if self.device:
            value = self.encoder.produce(feeds, "cross", self.device.name)
            return DeviceArray(self.device.name, np.dtype(np.float16), shape, value)
        cross = np.empty(shape, dtype=np.float32)
        self.encoder.bind(feeds, {"cross": on_host(cross)})()
        return cross

    def slot_table(self, max_slots: int, max_tokens: int) -> SlotTable:
        """Slots whose caches lie where the graphs run."""
        return SlotTable(self.sizes, max_slots, max_tokens, self.device or HostMemory())

    def stepper(self, slots: SlotTable) -> Stepper:
        """Decoder steps over `slots`."""
        if self.device:
            return DeviceStepper(self.decoder, slots, self.sizes, self.device)
        return Stepper(self.decoder, slots, self.sizes)
