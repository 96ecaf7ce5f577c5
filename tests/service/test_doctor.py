"""`dragoman doctor`: what it finds, what it would choose, and what it warns of."""

import json
import math
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from service import doctor
from service.bundle import load_bundle
from service.machine import Machine
from service.settings import PREFIX, Settings, load_settings
from tests.service.written_bundle import write

MACHINE = Machine(
    host_cpus=64,
    affinity_cpus=64,
    cpuset="0-63",
    cpu_quota=2.5,
    host_memory_bytes=256 * 2**30,
    memory_limit_bytes=2**30,
    instruction_sets=("avx2", "avx512_vnni"),
)


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle")


@pytest.fixture(autouse=True)
def _in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read_machine", lambda: MACHINE)
    monkeypatch.setenv(f"{PREFIX}THREADS", "2")


def test_json_holds_what_was_found_and_chosen(
    bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(["--json", "--bundle", str(bundle_path)]) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["found"] == {
        "cpus": 2,
        "host_cpus": 64,
        "affinity_cpus": 64,
        "cpuset": "0-63",
        "cpu_quota": 2.5,
        "memory_limit_bytes": 2**30,
        "host_memory_bytes": 256 * 2**30,
        "instruction_sets": "avx2,avx512_vnni",
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "bundle": str(bundle_path),
        "model": "written 1",
        "precisions": ["int8"],
    }
    assert report["chosen"]["precision"] == "int8"
    assert report["chosen"]["threads"] == 2
    assert report["warnings"] == []


def test_the_table_holds_the_same_facts(
    bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(["--bundle", str(bundle_path)]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["found", "cpus", "2"] in lines
    assert ["memory_limit", "1074", "MB"] in lines
    assert ["model", "written", "1"] in lines
    assert ["chosen", "precision", "int8"] in lines


def test_memory_is_weights_caches_and_what_is_always_there(bundle_path: Path) -> None:
    def most_memory(**changes: int) -> int:
        settings = load_settings(bundle=bundle_path, **changes)
        chosen = doctor.examine(settings, load_bundle(bundle_path), MACHINE)["chosen"]
        assert chosen["weight_bytes"] == 2 * len("graph") + len("weights")
        assert chosen["most_memory_bytes"] > chosen["most_cache_bytes"] + chosen["weight_bytes"]
        return int(chosen["most_memory_bytes"])

    # A token has keys and values of 8 float32 numbers in one layer; there are two workers. A slot
    # more has room for a source of 64; tokens of targets count twice, as a copy may be needed.
    token_bytes = 2 * 8 * 4
    assert most_memory(slots=33) - most_memory(slots=32) == 2 * 64 * token_bytes
    assert most_memory(cache_tokens=8_292) - most_memory() == 2 * 2 * 100 * token_bytes


@pytest.mark.parametrize(
    ("machine", "warning"),
    [
        (replace(MACHINE, memory_limit_bytes=10_000_000), "there are 10 MB; raise the limit"),
        (replace(MACHINE, cpu_quota=1.0), "2 threads share 1 CPUs"),
    ],
)
def test_what_does_not_fit_the_machine_is_a_warning_and_a_failure(
    machine: Machine,
    warning: str,
    bundle_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "read_machine", lambda: machine)

    assert doctor.main(["--bundle", str(bundle_path)]) == 1
    assert warning in capsys.readouterr().out


def test_no_limit_is_said_in_words(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = replace(MACHINE, cpu_quota=math.inf, memory_limit_bytes=None, cpuset="")
    monkeypatch.setattr(doctor, "read_machine", lambda: free)

    assert doctor.main(["--bundle", str(bundle_path)]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for name in ("cpuset", "cpu_quota", "memory_limit"):
        assert [name, "no", "limit"] in lines


def test_a_precision_that_the_bundle_lacks_is_one_line(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}PRECISION", "float32")

    assert doctor.main(["--bundle", str(bundle_path)]) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"dragoman doctor: {bundle_path} has no float32 graphs; it has int8\n"


def test_a_wrong_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}TREADS", "2")

    assert doctor.main([]) == 1
    assert "did you mean DRAGOMAN_THREADS?" in capsys.readouterr().err


def test_the_shipped_bundle_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main([])

    captured = capsys.readouterr()
    assert str(Settings.model_fields["bundle"].default) in captured.out + captured.err
