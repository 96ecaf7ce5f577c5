import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model import checkpoint
from model.checkpoint import Checkpoint
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from tests.model.conftest import MakeConfig

MakeCheckpoint = Callable[..., Checkpoint]

SRC_IDS = torch.tensor([[5, 9, 2, 7, 3]])
TGT_IDS = torch.tensor([[2, 11, 12]])


@pytest.fixture
def make_checkpoint(make_config: MakeConfig, tokenizer: Tokenizer) -> MakeCheckpoint:
    def make(**settings: object) -> Checkpoint:
        config = make_config(**settings)
        return Checkpoint(
            model=config,
            weights=Transformer(config).state_dict(),
            tokenizer=tokenizer,
            languages=("en", "de"),
            directions=(("en", "de"), ("de", "en")),
            history={"recipe": "toy", "progress": {"update": 7, "position": [1, 2]}},
            extra={"optimizer.step": torch.tensor(7.0)},
        )

    return make


def stored(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("tie_output", [True, False])
def test_a_checkpoint_is_read_as_written(
    tmp_path: Path, make_checkpoint: MakeCheckpoint, tie_output: bool
) -> None:
    saved = make_checkpoint(tie_output=tie_output)

    checkpoint.save(tmp_path / "a.safetensors", saved)
    loaded = checkpoint.load(tmp_path / "a.safetensors")

    assert loaded.model == saved.model
    assert loaded.tokenizer.model == saved.tokenizer.model
    assert (loaded.languages, loaded.directions) == (saved.languages, saved.directions)
    assert loaded.history == saved.history
    assert {name: tensor.item() for name, tensor in loaded.extra.items()} == {"optimizer.step": 7}
    assert set(loaded.weights) == set(saved.weights)
    assert all(torch.equal(loaded.weights[name], saved.weights[name]) for name in saved.weights)


def test_a_model_built_from_a_checkpoint_scores_as_before(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    saved = make_checkpoint(dropout=0.5)
    model = Transformer(saved.model).eval()
    model.load_state_dict(dict(saved.weights))

    checkpoint.save(tmp_path / "a.safetensors", saved)
    built = checkpoint.load(tmp_path / "a.safetensors").build()

    assert not built.training
    assert torch.equal(built(SRC_IDS, TGT_IDS), model(SRC_IDS, TGT_IDS))
    assert built.output.weight is built.embedding.weight


def test_a_tied_output_is_stored_once(tmp_path: Path, make_checkpoint: MakeCheckpoint) -> None:
    for tie_output in (True, False):
        path = tmp_path / f"{tie_output}.safetensors"
        checkpoint.save(path, make_checkpoint(tie_output=tie_output))

        assert ("model.output.weight" in stored(path)) is not tie_output
        assert "model.embedding.weight" in stored(path)


def test_weights_saved_in_half_precision_are_read_as_float32(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    saved = make_checkpoint()
    path = tmp_path / "a.safetensors"

    checkpoint.save(path, saved, dtype=torch.float16)

    loaded = checkpoint.load(path).weights
    assert stored(path)["model.embedding.weight"].dtype == torch.float16
    for name, weight in saved.weights.items():
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name], weight, rtol=2**-10, atol=2**-24)


def test_saving_makes_the_folder_and_leaves_one_file(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    checkpoint.save(tmp_path / "new" / "a.safetensors", make_checkpoint())

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.safetensors"]


def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, make_checkpoint())
    before = path.read_bytes()

    def disk_full(tensors: dict[str, Tensor], file: Path, **_: object) -> None:
        file.write_bytes(b"half of a")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", disk_full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, make_checkpoint())

    assert path.read_bytes() == before


def test_a_half_written_file_of_a_killed_save_is_overwritten(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    (tmp_path / "a.partial").write_bytes(b"half of a")

    checkpoint.save(tmp_path / "a.safetensors", make_checkpoint())

    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no tensors here, whatever the first bytes say")

    with pytest.raises(ValueError, match=r"notes\.txt is no Dragoman checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("metadata", [None, {"dragoman": "{}"}, {"format": "pt"}])
def test_foreign_tensors_are_refused_by_name(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)

    with pytest.raises(ValueError, match=r"foreign\.safetensors is no Dragoman checkpoint"):
        checkpoint.load(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.safetensors"
    header = {"format": checkpoint.FORMAT, "version": 2}
    save_file({"weight": torch.zeros(2)}, path, metadata={"dragoman": json.dumps(header)})

    with pytest.raises(ValueError, match=r"later\.safetensors has version 2; this reads 1"):
        checkpoint.load(path)


def test_a_file_cut_short_is_refused_by_name(
    tmp_path: Path, make_checkpoint: MakeCheckpoint
) -> None:
    path = tmp_path / "cut.safetensors"
    checkpoint.save(path, make_checkpoint())
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ValueError, match=r"cut\.safetensors is no Dragoman checkpoint"):
        checkpoint.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        checkpoint.load(tmp_path / "missing.safetensors")


def test_an_average_is_the_mean_of_each_weight() -> None:
    averaged = checkpoint.average(
        [{"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([3.0, 2.0])}, {"a": torch.zeros(2)}]
    )

    torch.testing.assert_close(averaged["a"], torch.tensor([4 / 3, 4 / 3]))
    assert averaged["a"].dtype == torch.float32


def test_the_average_of_one_is_itself(make_checkpoint: MakeCheckpoint) -> None:
    weights = make_checkpoint().weights

    averaged = checkpoint.average([weights, replace(make_checkpoint(), weights=weights).weights])

    assert all(torch.equal(averaged[name], weights[name]) for name in weights)
