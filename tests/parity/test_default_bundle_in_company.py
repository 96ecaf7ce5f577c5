"""The promise of the engine on the model that is shipped: 500 sentences, bit for bit."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from model.check_cases import load_cases
from service.bundle import Bundle, load_bundle
from service.engine.job import Hypothesis, Job
from service.engine.loop import Engine
from service.engine.options import DecodingOptions, Sampling
from service.engine.report import StepReport
from service.engine.runner import Runner
from service.settings import DEFAULT_BUNDLE
from service.tokenizer import Tokenizer
from tests.parity.conftest import LIMITS, Asked

NUM_SENTENCES = 500
WAIT_SECONDS = 240.0


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def asked(bundle: Bundle) -> list[Asked]:
    """Self-written sentences of all kinds, one or two at a time; every option among them."""
    generator, tokenizer = random.Random(5), Tokenizer.load(bundle)
    tag_ids = {(each.source, each.target): each.tag_id for each in bundle.manifest.directions}
    asked = []
    for case in generator.choices(
        [case for case in load_cases() if not case.long], k=NUM_SENTENCES
    ):
        other = generator.choice([case.text, "", ""])
        text_ids = tokenizer.encode(f"{case.text} {other}".strip())[:200]
        source = (
            tag_ids[case.source, case.target],
            *text_ids,
            bundle.manifest.special_ids.eos_id,
        )
        asked.append((source, options(generator, 2 * len(source) + 8)))
    return asked


def options(generator: random.Random, max_target_tokens: int) -> DecodingOptions:
    """Greedy mostly, as searches with more rows take longer; a rule and samples among them."""
    beam_size = generator.choice([1, 1, 1, 1, 2, 4])
    is_sampled = generator.random() < 0.2
    return DecodingOptions(
        beam_size=beam_size,
        num_hypotheses=beam_size,
        max_target_tokens=max_target_tokens,
        sampling=Sampling(seed=generator.randrange(2**64), top_k=20) if is_sampled else None,
        no_repeat_ngram_size=generator.choice([0, 0, 3]),
    )


def ignore(_report: StepReport) -> None:
    """Take no notice of a step."""


def run(
    runner: Runner, asked: Sequence[Asked], *, num_workers: int, pauses: Sequence[float]
) -> list[tuple[Hypothesis, ...]]:
    """What an engine on threads answers; a pause comes before each segment."""
    limits = replace(LIMITS, num_workers=num_workers, max_slots=16)
    engine = Engine(runner, limits, on_step=ignore)
    engine.start()
    jobs = [Job(source_ids=source, options=wanted) for source, wanted in asked]
    for job, pause in zip(jobs, pauses, strict=True):
        time.sleep(pause)
        engine.submit(job)
    results = [job.future.result(WAIT_SECONDS).hypotheses for job in jobs]
    engine.drain(WAIT_SECONDS)
    return results


@pytest.mark.timeout(600)
def test_every_sentence_is_translated_in_company_as_it_is_alone(
    bundle: Bundle, asked: list[Asked]
) -> None:
    generator, runner = random.Random(7), Runner.load(bundle, "int8")
    pauses = [generator.choice([0.0, 0.0, 0.0, 0.002, 0.01]) for _ in asked]

    together = run(runner, asked, num_workers=2, pauses=pauses)

    assert len(together) == NUM_SENTENCES
    engine = Engine(runner, LIMITS, on_step=ignore)
    [worker] = engine.workers
    for (source, wanted), hypotheses in zip(asked, together, strict=True):
        job = Job(source_ids=source, options=wanted)
        engine.submit(job)
        while not job.future.done():
            worker.step()
        assert job.future.result().hypotheses == hypotheses
