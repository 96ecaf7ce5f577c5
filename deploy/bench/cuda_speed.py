"""Tokens and sentences a second at so many sentences at once, beside PyTorch on the same device."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from deploy.bench.cuda_subject import MAX_TOKENS, Running, Subject
from model.search import LengthPenalty, beam_search, greedy_search
from service.engine.options import DecodingOptions

ROUNDS = 3
MOST_SLOTS = 1_024
ROOMY_SLOTS = 256  # of a service that is made for many, when few are there
NUM_STEPS = 20


class Case(NamedTuple):
    """How much is translated at once, and how: `slots` are those of the engine."""

    sentences: int
    beam: int
    slots: int


def make_cases(sizes: Sequence[int], beam_sizes: Sequence[int]) -> list[Case]:
    """Greedy and with beam 4, in as many slots as are needed; then few sentences in many slots."""
    return [
        *(Case(count, 1, min(MOST_SLOTS, count)) for count in sizes),
        *(Case(count, 4, min(MOST_SLOTS, 4 * count)) for count in beam_sizes),
        *(Case(count, 1, ROOMY_SLOTS) for count in sizes if count < ROOMY_SLOTS),
    ]


def measure_speed(subject: Subject, cases: Sequence[Case], deadline: float) -> list[dict[str, Any]]:
    """A row for each case, as long as there is time."""
    rows = []
    for case in cases:
        if time.monotonic() < deadline:
            rows.append(_measure(subject, case, deadline))
            print(rows[-1], flush=True)
    return rows


def _measure(subject: Subject, case: Case, deadline: float) -> dict[str, Any]:
    """Both sides in turn; medians of the rounds."""
    count, beam, slots = case
    sources = subject.many(count)
    options = DecodingOptions(beam_size=beam, max_target_tokens=MAX_TOKENS)
    ours: list[float] = []
    theirs: list[float] = []
    with _Memory(subject.device) as memory, Running(subject.on_device, slots) as engine:

        def run_ours() -> int:
            jobs = engine.translate([(source, options) for source in sources])
            return sum(len(job.future.result().hypotheses[0].token_ids) + 1 for job in jobs)

        tokens = run_ours()  # warms up, too
        pytorch = _pytorch(subject, count, beam)
        torch_tokens = pytorch()
        for _ in range(ROUNDS):
            if ours and time.monotonic() > deadline:
                break
            ours.append(_seconds(run_ours))
            theirs.append(_seconds(pytorch))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return {
        **case._asdict(),
        "graph ms/step": _milliseconds_of_a_step(subject, slots),
        "tokens/s": round(tokens / mine),
        "sentences/s": round(count / mine, 1),
        "seconds": round(mine, 4),
        "steps": len(engine.reports),
        "encode s": round(sum(report.encode_seconds for report in engine.reports), 4),
        "decode s": round(sum(report.decode_seconds for report in engine.reports), 4),
        "torch tokens/s": round(torch_tokens / other),
        "torch seconds": round(other, 4),
        "ratio": round(tokens / mine / (torch_tokens / other), 2),
        "rounds": len(ours),
        "peak MB": memory.peak_megabytes,
    }


def _milliseconds_of_a_step(subject: Subject, slots: int) -> float:
    """One run of the decoder for so many rows, without what surrounds it; their median."""
    runner = subject.on_device
    table = runner.slot_table(slots, slots * MAX_TOKENS)
    cross = runner.encode(subject.sources[:1])
    for _ in range(slots):
        table.allocate(1, cross[:, 0], len(subject.sources[0]), runner.bos_id)
    stepper = runner.stepper(table)
    taken = []
    for _ in range(NUM_STEPS):
        taken.append(_seconds(stepper.step))
        table.advance(range(slots), [runner.bos_id] * slots)
    return round(1_000 * statistics.median(taken), 3)


def _pytorch(subject: Subject, count: int, beam: int) -> Callable[[], int]:
    """The reference search; greedy in one batch, beams one sentence after the other."""
    model, tokenizer = subject.pytorch, subject.loaded.tokenizer
    sources = subject.many(count)

    def run() -> int:
        if beam == 1:
            found = greedy_search(model, tokenizer, sources, MAX_TOKENS)
        else:
            found = [
                beam_search(
                    model,
                    tokenizer,
                    source,
                    beam_size=beam,
                    length_penalty=LengthPenalty(1.0),
                    max_tokens=MAX_TOKENS,
                )[0]
                for source in sources
            ]
        return sum(len(hypothesis.token_ids) + 1 for hypothesis in found)

    return run


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class _Memory:
    """Looks at how much of the GPU is in use, by both sides together."""

    def __init__(self, device: str) -> None:
        self.peak_megabytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch) if device == "cuda" else None

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            free, total = torch.cuda.mem_get_info()
            self.peak_megabytes = max(self.peak_megabytes, round((total - free) / 1e6))

    def __enter__(self) -> "_Memory":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
