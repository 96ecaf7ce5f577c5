"""An exported bundle starts, and is refused when it translates otherwise than the export did."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from service.bundle import Bundle, load_bundle
from service.engine.limits import EngineLimits
from service.engine.loop import Engine
from service.engine.runner import Runner
from service.errors import BundleError
from service.loading import check_golden, load_backend
from service.settings import Settings
from tests.bundles import write_bundle

LIMITS = EngineLimits(
    num_workers=1,
    max_cache_tokens=8_192,
    max_slots=8,
    max_source_tokens=256,
    max_target_tokens=512,
    max_queue_tokens=10_000,
    max_beam_size=8,
)


@pytest.fixture(params=["int8", "float32", "float16"])
def engine(bundle: Bundle, request: pytest.FixtureRequest) -> Iterator[Engine]:
    runner = Runner.load(bundle, request.param)
    engine = Engine(runner, LIMITS, on_step=lambda report: None)
    engine.start()
    yield engine
    engine.drain(60.0)


def test_golden_examples_are_translated_as_by_the_export(bundle: Bundle, engine: Engine) -> None:
    check_golden(bundle, engine, LIMITS)


def test_a_golden_example_of_another_model_is_refused(engine: Engine, tmp_path: Path) -> None:
    other = load_bundle(write_bundle(tmp_path / "other", tie_output=False))

    with pytest.raises(BundleError, match=r"golden\.json: .* is translated otherwise"):
        check_golden(other, engine, LIMITS)


@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_a_gpu_that_is_not_there_is_replaced_by_the_cpu_and_the_log_says_why(
    bundle: Bundle,
    precision: Literal["auto", "float16"],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.execution.cuda_obstacle", lambda: "there is none")
    settings = Settings(bundle=bundle.path, provider="cuda", precision=precision, threads=1)

    backend = load_backend(settings, lambda report: None)
    backend.engine.drain(60.0)

    assert backend.model.provider == "CPUExecutionProvider"
    assert backend.model.precision == {"auto": "int8"}.get(precision, precision)
    assert caplog.messages == ["the CPU is taken instead of CUDA: there is none"]


def test_examples_say_what_was_translated(bundle: Bundle) -> None:
    examples = json.loads((bundle.path / "golden.json").read_text())

    assert all(example["text"] and example["target_ids"] for example in examples)
