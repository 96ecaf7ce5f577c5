"""The one command picks a package, and only then imports it."""

import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import dragoman

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
HEAVY = ("fastapi", "numpy", "onnx", "onnxruntime", "pydantic", "rich", "sentencepiece", "torch")


def _pretend(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str]], int]) -> None:
    """Let each sub-command be `run`, without importing its package."""
    monkeypatch.setattr(
        dragoman, "import_module", lambda _: SimpleNamespace(main=lambda argv, *_: run(argv))
    )


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """`serve` decides what signals do, and so would to the process of the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_help_lists_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        dragoman.main(["--help"])

    assert stop.value.code == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, command in dragoman.COMMANDS.items():
        assert f"{name} {command.summary}" in lines


@pytest.mark.parametrize("argv", [["interpret"], [], ["--verbose"]])
def test_a_wrong_call_exits_with_2_and_says_why(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        dragoman.main(argv)

    assert stop.value.code == 2
    assert "dragoman: error:" in capsys.readouterr().err


def test_version_is_that_of_the_installed_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        dragoman.main(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out == f"dragoman {PROJECT['version']}\n"


def test_help_and_version_import_no_package() -> None:
    script = f"""
import sys, dragoman
for flag in ("--help", "--version"):
    try:
        dragoman.main([flag])
    except SystemExit:
        pass
print([name for name in sys.modules if name in {(*HEAVY, "model", "export", "service")!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", dragoman.COMMANDS)
def test_everything_after_the_command_reaches_it_with_its_status(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[list[str]] = []

    def run(argv: list[str]) -> int:
        received.append(argv)
        return 3

    _pretend(monkeypatch, run)

    assert dragoman.main([name, "--help", "--version", "--", "-x"]) == 3
    assert received == [["--help", "--version", "--", "-x"]]


@pytest.mark.parametrize("name", dragoman.COMMANDS)
def test_a_missing_library_is_answered_by_the_extra_that_brings_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(module: str) -> None:
        raise ModuleNotFoundError("No module named 'wanted'", name="wanted.part")

    monkeypatch.setattr(dragoman, "import_module", fail)

    assert dragoman.main([name]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"dragoman {name} needs the {dragoman.COMMANDS[name].extra} ")
    assert f'pip install "dragoman[{dragoman.COMMANDS[name].extra}]"' in captured.err
    assert "'wanted'" in captured.err


@pytest.mark.parametrize("name", ["model.transformer", "service"])
def test_a_missing_file_of_our_own_is_not_blamed_on_an_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(dragoman, "import_module", fail)

    with pytest.raises(ModuleNotFoundError):
        dragoman.main(["serve"])


def test_every_extra_that_is_named_exists() -> None:
    declared = PROJECT["optional-dependencies"]
    assert {command.extra for command in dragoman.COMMANDS.values()} <= declared.keys()


def test_an_interrupt_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(argv: list[str]) -> int:
        raise KeyboardInterrupt

    _pretend(monkeypatch, interrupt)

    assert dragoman.main(["train"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_stops_reading_is_no_error() -> None:
    script = """
import sys, types, dragoman
def run(argv, *_):
    for number in range(100_000):
        print("line", number)
    return 0
dragoman.import_module = lambda name: types.SimpleNamespace(main=run)
sys.exit(dragoman.main(["translate"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_signals_while_the_service_is_imported_neither_kill_nor_get_lost() -> None:
    script = """
import os, signal, dragoman
def import_module(name):
    os.kill(os.getpid(), signal.SIGHUP)
    print("still here", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:  # as an import may do
        pass
    print("still here", flush=True)
dragoman.import_module = import_module
dragoman.main(["serve"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "still here\n")
