"""Whole runs on a toy corpus: what is written, and when they end. Going on: `test_resume.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from torch.distributed.run import get_args_parser

from model import checkpoint, held_out, streams, train
from model.batching import ROUND_SENTENCES, Stream
from model.processes import Processes
from model.recipe import Recipe
from model.run_log import RunLog
from model.validate import summed_loss
from tests.model.conftest import Finished
from tests.model.toy import file_names, write_recipe

ROOT = Path(__file__).parents[2]

# Two processes add the same float32 gradients in another order.
PROCESSES_TOLERANCE = 1e-4

# The average is kept as float16: half a unit in its last place.
AVERAGE_TOLERANCE = 2**-11


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: (update, value) of each curve."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_a_run_writes_its_checkpoints_average_tokenizer_and_log(finished: Finished) -> None:
    written = file_names(finished.folder)

    assert {"last.safetensors", "averaged.safetensors", "tokenizer.model"} <= set(written)
    assert not [name for name in written if name.endswith(".partial")]
    assert list((finished.folder / "tensorboard").glob("events.out.tfevents.*"))


def test_the_best_and_the_last_checkpoints_are_kept(finished: Finished) -> None:
    records = checkpoint.load(finished.folder / train.LAST).history["progress"]["validations"]
    best = max(records, key=lambda record: record["mean_bleu"])

    kept = {int(name[7:14]) for name in file_names(finished.folder) if name.startswith("update-")}

    assert [record["update"] for record in records] == [6, 12, 18]
    assert kept == {best["update"], 18, 20}


def test_checkpoints_that_are_neither_best_nor_last_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of scores 1, 9, 5, 3, 2 the best two and the last one stay."""
    recipe = write_recipe(tmp_path, max_updates=5, validate_every=1, keep_best=2, average_last=1)
    forge_bleu([1.0, 9.0, 5.0, 3.0, 2.0], monkeypatch)

    train.main([str(recipe), "--folder", str(tmp_path / "run")])

    kept = [name for name in file_names(tmp_path / "run") if name.startswith("update-")]
    assert kept == [f"update-000000{update}.safetensors" for update in (2, 3, 5)]


def forge_bleu(means: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let validation find these BLEUs, one after the other, and cost nothing."""
    coming = iter(means)

    def validate(self: train.Run) -> None:
        progress = self.trainer.progress
        progress.validations.append({"update": progress.update, "mean_bleu": next(coming)})

    monkeypatch.setattr(train.Run, "_validate", validate)


def test_the_average_is_that_of_the_last_checkpoints(finished: Finished) -> None:
    averaged = checkpoint.load(finished.folder / train.AVERAGED)
    parts = [
        checkpoint.load(finished.folder / f"update-00000{update}.safetensors")
        for update in (18, 20)
    ]

    assert averaged.history["averaged"] == [
        "update-0000018.safetensors",
        "update-0000020.safetensors",
    ]
    for name, weight in averaged.weights.items():
        expected = (parts[0].weights[name] + parts[1].weights[name]) / 2
        torch.testing.assert_close(weight, expected, rtol=AVERAGE_TOLERANCE, atol=2**-25)
    assert not torch.equal(
        averaged.weights["embedding.weight"], parts[1].weights["embedding.weight"]
    )
    assert not averaged.extra


def test_the_log_has_loss_rate_and_scores_in_both_directions(finished: Finished) -> None:
    curves = scalars(finished.folder)

    assert [update for update, _ in curves["loss"]] == [5, 10, 15, 20]
    assert curves["learning_rate"][0][1] == pytest.approx(3e-3)
    for metric in ("bleu", "chrf", "validation_loss"):
        for direction in ("en-de", "de-en"):
            assert [update for update, _ in curves[f"{metric}/dev/{direction}"]] == [6, 12, 18]


def test_the_validation_loss_is_that_of_the_weights_at_that_update(finished: Finished) -> None:
    saved = checkpoint.load(finished.folder / "update-0000018.safetensors")
    pairs = held_out.load_validation(Recipe.load(finished.recipe))["dev"]

    nats, labels = summed_loss(saved.build(), saved.tokenizer, "de", pairs)

    curve = dict(scalars(finished.folder)["validation_loss/dev/en-de"])
    assert curve[18] == pytest.approx(nats / labels, rel=1e-6)
    [kept] = [at for at in saved.history["progress"]["validations"] if at["update"] == 18]
    assert kept["scores"]["dev en-de"]["loss"] == pytest.approx(nats / labels, rel=1e-6)


def test_a_run_prints_filters_progress_scores_and_a_sample(finished: Finished) -> None:
    printed = finished.printed

    assert "corpus a.tsv: 150 kept" in printed
    assert re.search(r"update 5/20 .*loss \d+\.\d+ .*tokens/s", printed)
    assert re.search(r"dev/en-de: BLEU [\d.]+\s+chrF [\d.]+\s+loss \d\.\d+\s.*tok:13a", printed)
    assert re.search(r"\n    -> ", printed)
    assert "averaged 2 checkpoints" in printed


def test_a_run_is_not_overwritten_unasked(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished.folder / train.LAST).read_bytes()

    assert train.main([str(finished.recipe), "--folder", str(finished.folder)]) != 0

    assert "last.safetensors exists; give --resume" in capsys.readouterr().err
    assert (finished.folder / train.LAST).read_bytes() == before


@pytest.mark.parametrize(("batch_tokens", "expected"), [(200, ROUND_SENTENCES), (30_000, 60_000)])
def test_a_round_fills_many_batches_however_large_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_tokens: int, expected: int
) -> None:
    recipe = Recipe.load(write_recipe(tmp_path, batch_tokens=batch_tokens))
    stream = Mock(wraps=Stream)
    monkeypatch.setattr(streams, "Stream", stream)

    with RunLog(tmp_path / "run", is_silent=True) as log:
        train.Run(recipe, tmp_path / "run", Processes(), log)

    assert stream.call_args.kwargs["round_sentences"] == expected


def test_a_wrong_recipe_ends_in_its_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "a.tsv").write_text("no tab\n")

    assert train.main([str(recipe), "--folder", str(tmp_path / "run")]) != 0

    assert "a.tsv, line 1: no tab" in capsys.readouterr().err


def test_the_clock_stops_a_run_after_an_update(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"

    assert train.main([str(finished.recipe), "--folder", str(run), "--max-minutes", "0"]) == 0

    assert checkpoint.load(run / train.LAST).history["progress"]["update"] == 1


@pytest.mark.parametrize(
    ("bleu", "stops_after"),
    [
        ([1.0, 3.0, 2.0, 2.5, 9.0, 9.0], 4),
        ([1.0, 3.0, 3.0, 3.0, 9.0, 9.0], 4),
        ([1.0, 3.0, 2.0, 3.5, 2.0, 9.0], 6),
        ([0.0, 0.0, 0.0, 9.0, 9.0, 9.0], 3),
    ],
    ids=["worse", "equal", "better in time", "never any"],
)
def test_training_stops_when_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bleu: list[float], stops_after: int
) -> None:
    recipe = write_recipe(tmp_path, max_updates=6, validate_every=1, patience=2)
    forge_bleu(bleu, monkeypatch)

    train.main([str(recipe), "--folder", str(tmp_path / "run")])

    averaged = checkpoint.load(tmp_path / "run" / train.AVERAGED)
    assert averaged.history["progress"]["update"] == stops_after


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_learn_what_one_learns(tmp_path: Path, optimizer: str) -> None:
    settings: dict[str, object] = {
        "dropout": 0.0,  # its random numbers differ by process
        "max_updates": 8,
        "validate_every": 8,
        "log_every": 1,
        "accumulation": 4,
        "optimizer": optimizer,
    }
    alone, together = tmp_path / "alone", tmp_path / "together"
    recipe = write_recipe(tmp_path, **settings)
    train.main([str(recipe), "--folder", str(alone)])

    torchrun = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "model.train"),
            *(str(recipe), "--folder", str(together)),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )

    assert torchrun.returncode == 0, torchrun.stderr
    assert file_names(together) == file_names(alone)
    expected, found = scalars(alone), scalars(together)
    for curve in ("loss", "gradient_norm", "learning_rate"):  # Adam alone would hide a factor
        assert [update for update, _ in found[curve]] == list(range(1, 9))
        assert [value for _, value in found[curve]] == pytest.approx(
            [value for _, value in expected[curve]], rel=PROCESSES_TOLERANCE
        )
    for direction in ("en-de", "de-en"):
        [(update, loss)] = found[f"validation_loss/dev/{direction}"]
        [(_, wanted)] = expected[f"validation_loss/dev/{direction}"]
        assert update == 8
        assert loss == pytest.approx(wanted, rel=PROCESSES_TOLERANCE)
    one, two = checkpoint.load(alone / train.LAST), checkpoint.load(together / train.LAST)
    assert two.history["progress"]["target_tokens"] == one.history["progress"]["target_tokens"]
    assert two.history["progress"]["position"] == one.history["progress"]["position"]
    ids = torch.arange(10, 20)[None]
    torch.testing.assert_close(
        two.build()(ids, ids), one.build()(ids, ids), rtol=0, atol=10 * PROCESSES_TOLERANCE
    )


@pytest.mark.parametrize(
    "option", [each for action in train.make_parser()._actions for each in action.option_strings]
)
def test_torchrun_passes_every_option_on(option: str) -> None:
    """It abbreviates its own options, and refuses what may be two of them."""
    ours = ["recipe.toml", option, "value"]

    read = get_args_parser().parse_args(["--nproc-per-node", "2", "-m", "model.train", *ours])

    assert read.training_script_args == ours


def test_a_run_begins_with_a_checkpoint_and_its_tokenizer(
    finished: Finished, tmp_path: Path
) -> None:
    start = finished.folder / train.AVERAGED
    recipe = write_recipe(tmp_path, max_updates=5, peak_learning_rate=1e-9)

    train.main([str(recipe), "--folder", str(tmp_path / "run"), "--from", str(start)])

    begun = checkpoint.load(tmp_path / "run" / train.LAST)
    assert begun.tokenizer.model == checkpoint.load(start).tokenizer.model
    for name, weight in checkpoint.load(start).weights.items():
        torch.testing.assert_close(begun.weights[name], weight, rtol=0, atol=1e-6, msg=name)
