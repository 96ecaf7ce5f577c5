"""Stopping a run and going on leaves no trace: no matter how, and no matter when."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model import checkpoint, train
from model.checkpoint import Checkpoint
from model.trainer import Trainer, UpdateReport
from tests.model.conftest import Finished
from tests.model.toy import file_names

ROOT = Path(__file__).parents[2]


def without_seconds(history: Any) -> Any:
    progress = {key: value for key, value in history["progress"].items() if key != "seconds"}
    return {**history, "progress": progress}


def assert_equal_runs(left: Path, right: Path) -> None:
    """The same files with the same tensors and the same history, bit for bit."""
    assert file_names(left) == file_names(right)
    for path in left.glob("*.safetensors"):
        one, other = checkpoint.load(path), checkpoint.load(right / path.name)
        assert without_seconds(one.history) == without_seconds(other.history)
        for tensors, others in ((one.weights, other.weights), (one.extra, other.extra)):
            assert set(tensors) == set(others)
            for name, tensor in tensors.items():
                assert torch.equal(tensor, others[name]), f"{path.name}: {name}"


def at_update(number: int, action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do `action` at the end of update `number`."""
    update = Trainer.update

    def update_and_act(self: Trainer) -> UpdateReport:
        report = update(self)
        if self.progress.update == number:
            action()
        return report

    monkeypatch.setattr(Trainer, "update", update_and_act)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_stopped_by_sigterm_goes_on_as_if_it_had_not(
    finished: Finished, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for update in (3, 18, 19):  # before, at and after a validation
        with pytest.MonkeyPatch.context() as monkeypatch:
            at_update(update, terminate, monkeypatch)
            assert train.main([str(finished.recipe), "--folder", str(run), "--resume"]) == 0
        assert checkpoint.load(run / train.LAST).history["progress"]["update"] == update
        assert not (run / train.AVERAGED).exists()

    train.main([str(finished.recipe), "--folder", str(run), "--resume"])

    assert_equal_runs(run, finished.folder)


def kill(recipe: Path, run: Path, script: str) -> None:
    """Train in a process of its own, which `script` is to kill."""
    died = subprocess.run(
        [sys.executable, "-c", script, str(recipe), "--folder", str(run), "--resume"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


KILLED_BETWEEN_CHECKPOINTS = """
import os, signal, sys
from model import train
from model.trainer import Trainer

update = Trainer.update

def update_and_die(self):
    if self.progress.update == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self)

Trainer.update = update_and_die
train.main(sys.argv[1:])
"""

KILLED_INSIDE_A_CHECKPOINT = """
import os, signal, sys
from model import checkpoint, train

save_file = checkpoint.save_file

def save_half(tensors, path, metadata):
    save_file(tensors, path, metadata=metadata)
    if NAME in path.name:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_file = save_half
train.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("script", "resumes_after"),
    [
        (KILLED_BETWEEN_CHECKPOINTS, 12),
        (KILLED_INSIDE_A_CHECKPOINT.replace("NAME", "'update-0000018'"), 12),
        (KILLED_INSIDE_A_CHECKPOINT.replace("NAME", "'averaged'"), 20),
    ],
    ids=["between checkpoints", "inside a checkpoint", "inside the average"],
)
def test_a_run_killed_goes_on_as_if_it_had_not(
    finished: Finished, tmp_path: Path, script: str, resumes_after: int
) -> None:
    run = tmp_path / "run"
    kill(finished.recipe, run, script)
    assert checkpoint.load(run / train.LAST).history["progress"]["update"] == resumes_after

    train.main([str(finished.recipe), "--folder", str(run), "--resume"])

    assert_equal_runs(run, finished.folder)


def test_a_run_killed_after_its_weights_and_before_its_state_are_written_goes_on(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of update 18 are there already; they are made again, and are the same."""
    run, save = tmp_path / "run", checkpoint.save

    def save_until(path: Path, saved: Checkpoint) -> None:
        if path.name == train.LAST and saved.history["progress"]["update"] == 18:
            raise KeyboardInterrupt
        save(path, saved)

    monkeypatch.setattr(checkpoint, "save", save_until)
    with pytest.raises(KeyboardInterrupt):
        train.main([str(finished.recipe), "--folder", str(run)])
    monkeypatch.setattr(checkpoint, "save", save)

    train.main([str(finished.recipe), "--folder", str(run), "--resume"])

    assert_equal_runs(run, finished.folder)


def test_a_finished_run_resumed_changes_nothing(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)

    train.main([str(finished.recipe), "--folder", str(run), "--resume"])

    assert_equal_runs(run, finished.folder)
