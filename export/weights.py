"""Weights in a file beside the graphs, ONNX's external data: less to load, and nothing twice.

What stands inside of a graph's file is in memory twice while onnxruntime loads it, as bytes of the
file and as tensors; from beside it, tensors are read one by one. Encoder and decoder embed tokens
by the same table, which one file for both holds once.

Source: ONNX, "External Data", docs/ExternalData.md.
"""

import hashlib

from onnx import ModelProto
from onnx.external_data_helper import set_external_data

ALIGNMENT = 64
"""Bytes; a tensor begins at a multiple, as vector instructions like it."""

MIN_BYTES = 1024
"""Smaller tensors stay in the graph, as shapes are inferred from some of them."""


class Weights:
    """The content of one such file, as it grows.

    Attributes:
        file_name: by which the graphs name it.
        content: what is to be written.
    """

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.content = bytearray()
        self._offsets: dict[bytes, int] = {}  # by checksum

    def take_from(self, graph: ModelProto) -> None:
        """Move the large tensors of `graph` here, which then names their places."""
        for tensor in graph.graph.initializer:
            if len(tensor.raw_data) >= MIN_BYTES:
                offset = self._place(tensor.raw_data)
                set_external_data(tensor, self.file_name, offset, len(tensor.raw_data))
                tensor.ClearField("raw_data")

    def _place(self, data: bytes) -> int:
        checksum = hashlib.sha256(data).digest()
        if checksum not in self._offsets:
            self.content.extend(bytes(-len(self.content) % ALIGNMENT))
            self._offsets[checksum] = len(self.content)
            self.content.extend(data)
        return self._offsets[checksum]
