"""Engines on tiny bundles."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.config import NormPosition
from service.bundle import load_bundle
from service.engine.invariants import check_invariants
from service.engine.job import Hypothesis, Job
from service.engine.limits import EngineLimits
from service.engine.loop import Engine
from service.engine.options import DecodingOptions
from service.engine.runner import Runner
from tests.bundles import write_bundle

LIMITS = EngineLimits(
    num_workers=1,
    max_cache_tokens=8_192,
    max_slots=24,
    max_source_tokens=256,
    max_target_tokens=300,
    max_queue_tokens=100_000,
    max_beam_size=8,
)

Asked = tuple[tuple[int, ...], DecodingOptions]
LoadRunner = Callable[..., Runner]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def load_runner(tmp_path_factory: pytest.TempPathFactory) -> LoadRunner:
    """Load the graphs of a tiny bundle."""
    folder = tmp_path_factory.mktemp("bundles")

    def load(precision: str, norm: NormPosition = "pre", tie_output: bool = True) -> Runner:
        path: Path = write_bundle(folder / f"{norm}-{tie_output}", norm, tie_output)
        return Runner.load(load_bundle(path), precision)

    return load


def decode(
    runner: Runner,
    asked: Sequence[Asked],
    arrivals: Sequence[int] | None = None,
    num_workers: int = 1,
) -> list[tuple[Hypothesis, ...]]:
    """What an engine answers; segment i joins before step `arrivals[i]`."""
    limits = replace(LIMITS, num_workers=num_workers)
    engine = Engine(runner, limits, on_step=lambda report: None)
    jobs = [Job(source_ids=source, options=options) for source, options in asked]
    waiting = sorted(zip(arrivals or [0] * len(jobs), range(len(jobs)), strict=True))
    step = 0
    while waiting or not all(job.future.done() for job in jobs):
        while waiting and waiting[0][0] <= step:
            engine.submit(jobs[waiting.pop(0)[1]])
        for worker in engine.workers:
            worker.step()
            assert check_invariants(worker.snapshot()) == []
        step += 1
    return [job.future.result().hypotheses for job in jobs]
