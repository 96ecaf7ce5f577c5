"""Whether a sentence is translated to the same bytes alone and in company, and as on the CPU."""

from collections.abc import Sequence
from typing import Any

from deploy.bench.cuda_subject import MAX_TOKENS, Ids, Running, Subject
from service.engine.job import Hypothesis, Job
from service.engine.options import DecodingOptions, Sampling

NUM_SENTENCES = 48  # of each kind
SLOTS = 64
CPU_WORKERS = 4

KINDS = {
    "greedy": DecodingOptions(max_target_tokens=MAX_TOKENS),
    "beam 4": DecodingOptions(beam_size=4, num_hypotheses=4, max_target_tokens=MAX_TOKENS),
    "sampling": DecodingOptions(
        max_target_tokens=MAX_TOKENS, sampling=Sampling(temperature=0.8, top_k=20, seed=7)
    ),
}


def measure_equality(subject: Subject) -> dict[str, Any]:
    """Shares of sentences, by kind of search."""
    runner = subject.on_device
    sources = subject.sources[:NUM_SENTENCES]
    asked = [(source, options) for source in sources for options in KINDS.values()]
    with Running(runner, SLOTS) as engine:
        together = _answers(engine.translate(asked))
        backwards = _answers(engine.translate(asked[::-1]))[::-1]
        alone = [_answers(engine.translate([one]))[0] for one in asked]
    found: dict[str, Any] = {}
    for place, kind in enumerate(KINDS):
        mine = slice(place, None, len(KINDS))
        found[f"{kind}, company = alone"] = _share(together[mine], alone[mine])
        found[f"{kind}, order does not matter"] = _share(together[mine], backwards[mine])
    greedy = together[0 :: len(KINDS)]
    found["greedy in so many rows as are busy = alone"] = _as_many_rows_as_busy(subject, sources)
    with Running(subject.runner("float32", "cpu"), 16, CPU_WORKERS) as engine:
        on_cpu = _answers(engine.translate([(source, KINDS["greedy"]) for source in sources]))
    found["greedy, tokens = float32 on the CPU"] = _share(_tokens(greedy), _tokens(on_cpu))
    return found


def _as_many_rows_as_busy(subject: Subject, sources: Sequence[Ids]) -> str:
    """The same if a step did not always take all slots: is that needed?"""
    runner = subject.runner("float16", subject.device)
    assert runner.device is not None
    runner.device.takes_all_slots = False
    with Running(runner, SLOTS) as engine:
        asked = [(source, KINDS["greedy"]) for source in sources]
        together = _answers(engine.translate(asked))
        alone = [_answers(engine.translate([one]))[0] for one in asked]
    return _share(together, alone)


def _answers(jobs: Sequence[Job]) -> list[tuple[Hypothesis, ...]]:
    return [job.future.result().hypotheses for job in jobs]


def _tokens(answers: Sequence[tuple[Hypothesis, ...]]) -> list[Ids]:
    return [hypotheses[0].token_ids for hypotheses in answers]


def _share(found: Sequence[object], wanted: Sequence[object]) -> str:
    same = sum(one == other for one, other in zip(found, wanted, strict=True))
    return f"{same}/{len(found)}"
