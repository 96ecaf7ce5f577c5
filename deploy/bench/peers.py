"""What is compared: each peer translates token ids to token ids from files of the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

Precision = Literal["float32", "int8"]
Ids = Sequence[int]

MAX_TARGET_TOKENS = 100  # of one sentence, `eos` included
LENGTH_PENALTY = 1.0


@dataclass(frozen=True, kw_only=True)
class Files:
    """The same weights in the form that each peer reads; all below one folder."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """PyTorch's."""
        return self.folder / "checkpoint.safetensors"

    @property
    def bundle(self) -> Path:
        """Dragoman's."""
        return self.folder / "bundle"

    @property
    def ctranslate2(self) -> Path:
        """CTranslate2's."""
        return self.folder / "ctranslate2"

    @property
    def plain_graphs(self) -> Path:
        """As `torch.onnx` writes them."""
        return self.folder / "plain"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a peer shall run.

    Attributes:
        num_workers: sentences or batches worked on at the same time, one thread each.
        batch_size: sentences that one worker decodes together, at most.
    """

    precision: Precision
    num_workers: int
    batch_size: int
    beam_size: int


class Peer(Protocol):
    """A translator that is open."""

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        """The target tokens of each of `sources` (tag first, `eos` last), without `eos`."""

    def close(self) -> None:
        """Give threads and memory back."""


OURS = "dragoman"
MODULES = {
    OURS: "deploy.bench.peer_dragoman",
    "ctranslate2": "deploy.bench.peer_ctranslate2",
    "pytorch": "deploy.bench.peer_pytorch",
    "onnx loop": "deploy.bench.peer_onnx_loop",
}


def offers(name: str, setup: Setup) -> bool:
    """Whether a peer can do that: PyTorch here has no int8, the plain loop no beams."""
    if name == "pytorch":
        return setup.precision == "float32"
    return name != "onnx loop" or setup.beam_size == 1


def open_peer(name: str, files: Files, setup: Setup) -> Peer:
    """Load a peer; nothing of the others is imported."""
    peer: Peer = import_module(MODULES[name]).open_peer(files, setup)
    return peer
