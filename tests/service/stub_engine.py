"""An engine whose translations are predictable, and which fails, fills up or waits when told to."""

import queue
import threading
from collections.abc import Sequence

from service.engine.job import FinishReason, Hypothesis, Job, JobResult
from service.engine.report import Occupancy, StepReport
from service.errors import EngineStopped, QueueFull, RequestCancelled, ServiceError

EOS_ID = 0
TAG_IDS = {("de", "en"): 1, ("en", "de"): 2}
FORMALITY_IDS = {"formal": 3, "informal": 4}
SILENT_IDS = (1, 2, 3, 4)
NUM_SPECIAL = 5


class StubTokenizer:
    """One token for each character; it knows the Latin ones."""

    def encode(self, text: str) -> list[int]:
        return [ord(character) + NUM_SPECIAL for character in text]

    def knows(self, character: str) -> bool:
        return character < "\u0250"

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(token_id - NUM_SPECIAL) for token_id in token_ids)

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        return [self.decode([token_id]) for token_id in token_ids]


class StubEngine:
    """Translates by writing each letter large; hypothesis k has k exclamation marks more.

    Attributes:
        gate: jobs wait while it is not set.
        dropped: set when a job was dropped because it was cancelled.
        taken: set when a job has come in.
        jobs: all that were submitted.
        num_repeats: how often it writes a translation.
        finish_reason: of every hypothesis.
        is_full: refuse every job.
        poison: fail each job whose text contains it.
        is_healthy: as `Engine.is_healthy`.
        drained: set by `drain`.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.dropped = threading.Event()
        self.taken = threading.Event()
        self.drained = threading.Event()
        self.jobs: list[Job] = []
        self.finish_reason: FinishReason = "stop"
        self.num_repeats = 1
        self.is_full = False
        self.poison = "\N{SKULL AND CROSSBONES}"
        self.error: ServiceError = ServiceError("poison")
        self.is_healthy = True
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def check_room(self, client: str, deadline: float) -> None:
        if self.drained.is_set():
            raise EngineStopped("the engine takes no more work")
        if self.is_full:
            raise QueueFull(value=9_000, limit=8_192)

    def submit(self, job: Job) -> None:
        self.check_room(job.client, job.deadline)
        self.jobs.append(job)
        self._queue.put(job)
        self.taken.set()

    @property
    def occupancy(self) -> Occupancy:
        return Occupancy(rows=3, slots=64, queue_segments=2, queue_tokens=40)

    def drain(self, timeout_seconds: float) -> bool:
        self.drained.set()
        self._queue.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            while not self.gate.wait(0.002) and not job.cancelled:
                pass
            if job.cancelled:
                job.future.set_exception(RequestCancelled("nobody waits"))
                self.dropped.set()
            else:
                self._answer(job)

    def _answer(self, job: Job) -> None:
        controls = {*TAG_IDS.values(), *FORMALITY_IDS.values(), EOS_ID}
        text = StubTokenizer().decode([one for one in job.source_ids if one not in controls])
        if self.poison in text:
            job.future.set_exception(self.error)
            return
        text = text.upper() * self.num_repeats
        hypotheses = tuple(
            Hypothesis(
                token_ids=tuple(StubTokenizer().encode(text + "!" * rank)),
                token_log_probs=log_probs(len(text) + rank, rank, self.finish_reason),
                score=-1.0 - rank,
                finish_reason=self.finish_reason,
                alignment=align(len(text) + rank, job.aligned) if job.aligned else None,
            )
            for rank in range(job.options.num_hypotheses)
        )
        if job.on_tokens:
            for count in range(1, len(hypotheses[0].token_ids) + 1):
                job.on_tokens(hypotheses[0].token_ids[:count])
        job.future.set_result(
            JobResult(
                hypotheses=hypotheses,
                queue_seconds=0.25,
                first_token_seconds=0.375,
                decode_seconds=0.5,
                num_steps=4,
            )
        )


def align(num_tokens: int, places: range) -> tuple[int, ...]:
    """Each letter comes from its like, what is behind the last one from that."""
    return tuple(min(number, len(places) - 1) for number in range(num_tokens))


def log_probs(num_tokens: int, rank: int, finish_reason: FinishReason) -> tuple[float, ...]:
    """The first token has -1 - rank, the others have 0, and so has the end if it was chosen."""
    return (-1.0 - rank, *[0.0] * (num_tokens - (finish_reason == "length")))


def make_report(**changes: float) -> StepReport:
    """Report a step that did nothing but for what is given."""
    nothing: dict[str, float] = dict.fromkeys(StepReport.__dataclass_fields__, 0)
    return StepReport(**{**nothing, **changes})  # type: ignore[arg-type]
