"""What is chosen among CPU and GPU, and what is said when it is not what was asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from service import execution
from service.bundle import Bundle, Graphs, load_bundle
from service.errors import BundleError
from service.execution import choose_execution
from tests.service.written_bundle import GRAPH, write


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "cuda_obstacle", lambda: "")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return only(load_bundle(write(tmp_path / "bundle")), "int8", "float32", "float16")


def only(bundle: Bundle, *precisions: str) -> Bundle:
    """The bundle with graphs of just these precisions."""
    graphs = dict.fromkeys(precisions, Graphs(encoder=GRAPH, decoder=GRAPH))
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"graphs": graphs}))


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("provider", ["auto", "cuda"])
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_a_gpu_is_taken_with_float16_graphs(bundle: Bundle, provider: str, precision: str) -> None:
    chosen = choose_execution(bundle, provider, precision)

    assert (chosen.device, chosen.precision) == ("cuda", "float16")
    assert chosen.provider == "CUDAExecutionProvider"
    assert chosen.warnings == ()


@pytest.mark.usefixtures("with_gpu")
def test_the_cpu_is_taken_if_it_is_asked_for(bundle: Bundle) -> None:
    chosen = choose_execution(bundle, "cpu", "auto")

    assert (chosen.device, chosen.precision, chosen.warnings) == ("cpu", "int8", ())


@pytest.mark.usefixtures("with_gpu")
def test_a_bundle_without_float16_goes_on_the_cpu_and_says_so_if_a_gpu_was_asked_for(
    bundle: Bundle,
) -> None:
    small = only(bundle, "int8")

    asked, automatic = (choose_execution(small, name, "auto") for name in ("cuda", "auto"))

    assert (asked.device, asked.precision) == ("cpu", "int8")
    assert asked.warnings == (
        f"the CPU is taken instead of CUDA: {bundle.path} has no float16 graphs",
    )
    assert automatic == replace(asked, warnings=())


@pytest.mark.usefixtures("with_gpu")
def test_graphs_that_no_gpu_runs_go_on_the_cpu(bundle: Bundle) -> None:
    chosen = choose_execution(bundle, "cuda", "float32")

    assert (chosen.device, chosen.precision) == ("cpu", "float32")
    assert chosen.warnings == (
        "the CPU is taken instead of CUDA: float32 graphs do not run there, float16 graphs do",
    )


def test_without_a_gpu_the_cpu_is_taken_and_the_reason_told(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "cuda_obstacle", lambda: "there is none")

    chosen = choose_execution(bundle, "cuda", "auto")

    assert (chosen.device, chosen.precision) == ("cpu", "int8")
    assert chosen.warnings == ("the CPU is taken instead of CUDA: there is none",)


def test_a_bundle_of_float16_alone_runs_on_the_cpu(bundle: Bundle) -> None:
    chosen = choose_execution(only(bundle, "float16"), "auto", "auto")

    assert (chosen.device, chosen.precision) == ("cpu", "float16")


def test_a_precision_that_the_bundle_lacks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no float16 graphs; it has int8, float32"):
        choose_execution(only(bundle, "int8", "float32"), "auto", "float16")
