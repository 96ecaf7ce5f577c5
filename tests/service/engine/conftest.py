"""Engines on a toy model, and a tiny bundle for tests of what runs graphs.

The latter are skipped where nothing can export one.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.bundle import Bundle, load_bundle
from service.engine.loop import Engine
from service.engine.report import StepReport
from tests.service.engine.driving import StartEngine
from tests.service.engine.toy_runner import LIMITS, ToyRunner, ignore


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    bundles = pytest.importorskip("tests.bundles", reason="needs model and export")
    path: Path = bundles.write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    return load_bundle(path)


@pytest.fixture
def runner() -> ToyRunner:
    return ToyRunner()


@pytest.fixture
def engine(runner: ToyRunner) -> Engine:
    return Engine(runner, LIMITS, on_step=ignore)


@pytest.fixture
def start(runner: ToyRunner) -> Iterator[StartEngine]:
    """Start engines that are stopped when the test ends."""
    started: list[Engine] = []

    def make(on_step: Callable[[StepReport], None] = ignore, num_workers: int = 1) -> Engine:
        limits = replace(LIMITS, num_workers=num_workers)
        started.append(Engine(runner, limits, on_step=on_step))
        started[-1].start()
        return started[-1]

    yield make
    for engine in started:
        engine.drain(0.0)
