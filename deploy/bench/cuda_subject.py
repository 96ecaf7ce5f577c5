"""A model on a device: its engine's runner in float16, one in float32 on the CPU, and PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from deploy.bench.random_models import SHAPES, random_checkpoint
from deploy.bench.sentences import BUNDLED, load_sentences
from export.decoder_graph import decoder_graph
from export.encoder_graph import encoder_graph
from export.fold import fold
from export.half import halve
from export.signature import decoder_signature, encoder_signature
from model import checkpoint
from model.checkpoint import Checkpoint
from model.transformer import Transformer
from service.bundle import Sizes
from service.engine.device import Device, Graph
from service.engine.job import Job
from service.engine.limits import GPU_ENCODE_TOKENS, EngineLimits
from service.engine.loop import Engine
from service.engine.options import DecodingOptions
from service.engine.report import StepReport
from service.engine.runner import Runner

SHIPPED = Path(__file__).parents[2] / "model" / "checkpoints" / "default.safetensors"
MAX_TOKENS = 96
EVERY_NTH = 6  # sentence is shown to a random model

Ids = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model in all forms.

    Attributes:
        sources: of the bundled sentences.
        folder: where graphs are.
    """

    name: str
    device: str
    loaded: Checkpoint
    sources: Sequence[Ids]
    folder: Path

    def runner(self, precision: str, device: str) -> Runner:
        """Graphs of one precision."""
        config, tokenizer = self.loaded.model, self.loaded.tokenizer
        return Runner(
            Sizes(
                vocab_size=config.vocab_size,
                d_model=config.d_model,
                num_heads=config.num_heads,
                num_decoder_layers=config.num_decoder_layers,
            ),
            Graph(self.graph("encoder", precision), device),
            Graph(self.graph("decoder", precision), device),
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            device=Device(device, np.float16) if precision == "float16" else None,
        )

    def graph(self, part: str, precision: str) -> Path:
        """The file of a graph."""
        return self.folder / f"{part}.{precision}.onnx"

    @cached_property
    def on_device(self) -> Runner:
        """What is measured."""
        return self.runner("float16", self.device)

    @cached_property
    def pytorch(self) -> Transformer:
        """The model in PyTorch, in float16 on a GPU; on a CPU that would take minutes."""
        model = self.loaded.build().to(self.device)
        return model.half() if self.device == "cuda" else model

    def many(self, count: int) -> list[Ids]:
        """So many sources; they come again where there are fewer."""
        return [self.sources[place % len(self.sources)] for place in range(count)]


def make_subject(name: str, device: str, folder: Path) -> Subject:
    """Write the graphs of a model: `default`, or one of `SHAPES` with random weights."""
    loaded = checkpoint.load(SHIPPED)
    sources = [tuple(one.ids(loaded.tokenizer)) for one in load_sentences(BUNDLED)]
    if name != "default":
        loaded = random_checkpoint(name, SHAPES[name].config(), loaded, sources[::EVERY_NTH])
    subject = Subject(
        name=name, device=device, loaded=loaded, sources=sources, folder=folder / name
    )
    write_graphs(subject)
    return subject


def write_graphs(subject: Subject) -> None:
    """Write the graphs of float32 and of float16."""
    subject.folder.mkdir()
    folded, config = fold(subject.loaded), subject.loaded.model
    for part, graph, signature in (
        ("encoder", encoder_graph(folded), encoder_signature),
        ("decoder", decoder_graph(folded, for_gpu=True), decoder_signature),
    ):
        subject.graph(part, "float32").write_bytes(graph.SerializeToString())
        half = halve(graph, signature(config, "float16"))
        subject.graph(part, "float16").write_bytes(half.SerializeToString())


def make_limits(num_workers: int, slots: int) -> EngineLimits:
    """Limits of which only the slots are felt."""
    return EngineLimits(
        num_workers=num_workers,
        max_slots=slots,
        max_cache_tokens=slots * 2 * MAX_TOKENS,
        max_source_tokens=256,
        max_target_tokens=MAX_TOKENS,
        max_queue_tokens=100_000_000,
        max_beam_size=8,
        encode_tokens=GPU_ENCODE_TOKENS,
    )


class Running:
    """An engine that runs; a context manager.

    Attributes:
        reports: of the steps of the last translation.
    """

    def __init__(self, runner: Runner, slots: int, num_workers: int = 1) -> None:
        self.reports: list[StepReport] = []
        self._engine = Engine(runner, make_limits(num_workers, slots), on_step=self.reports.append)

    def __enter__(self) -> "Running":
        self._engine.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._engine.drain(timeout_seconds=5.0)

    def translate(self, asked: Sequence[tuple[Ids, DecodingOptions]]) -> list[Job]:
        """Submit all at once and wait for all."""
        self.reports.clear()
        jobs = [Job(source_ids=source, options=options) for source, options in asked]
        for job in jobs:
            self._engine.submit(job)
        for job in jobs:
            job.future.result()
        return jobs
