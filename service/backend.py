"""What answers requests: the facts of a bundle, its tokenizer, and its running engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.detect import Detector
from service.draft import Tokenizer
from service.engine.report import Occupancy, StepReport
from service.served_model import ServedModel
from service.settings import Settings
from service.translate import JobSink


class Engine(JobSink, Protocol):
    """What the service needs of `service.engine.loop.Engine`."""

    def drain(self, timeout_seconds: float) -> bool:
        """Take no more, finish what is in, and say whether that was done in time."""

    @property
    def occupancy(self) -> Occupancy:
        """Say what is held now, over all workers."""

    @property
    def is_healthy(self) -> bool:
        """Say whether the engine still knows its state; if not, the process must end."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One bundle being served; whoever made it has started the engine."""

    model: ServedModel
    tokenizer: Tokenizer
    detector: Detector
    engine: Engine


OnStep = Callable[[StepReport], None]
LoadBackend = Callable[[Settings, OnStep], Backend]
