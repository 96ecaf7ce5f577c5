import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from model import checkpoint
from model.batching import Direction, Position, Stream
from model.config import ModelConfig
from model.loader import Loader
from model.muon import UPDATE_RMS
from model.processes import Processes
from model.recipe import Recipe
from model.schedule import learning_rate
from model.tokenizer import Tokenizer, train_tokenizer
from model.trainer import Trainer
from tests.model.toy import toy_pairs, write_recipe

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(
    tmp_path: Path,
    tokenizer: Tokenizer,
    stream: Stream,
) -> MakeTrainer:
    """Make a trainer, alone; arguments are those of the toy recipe."""

    def make(processes: Processes | None = None, **settings: object) -> Trainer:
        recipe = Recipe.load(write_recipe(tmp_path, **settings))
        final = replace(stream, directions=[Direction(True, "de", [1.0])])
        return Trainer(recipe, tokenizer, (stream, final), processes or Processes())

    return make


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in trainer.model.state_dict().items()}


def assert_equal_weights(left: Trainer, right: Trainer) -> None:
    right_weights = right.model.state_dict()
    for name, weight in left.model.state_dict().items():
        assert torch.equal(weight, right_weights[name]), name


def test_updates_lower_the_loss(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(dropout=0.0, max_updates=60, peak_learning_rate=1e-2)

    losses = [float(trainer.update().loss) for _ in range(40)]

    assert losses[0] > math.log(300) - 1
    assert sum(losses[-5:]) / 5 < losses[0] - 1.5


@pytest.mark.parametrize("accumulation", [1, 3])
def test_an_update_follows_the_mean_loss_of_all_its_labels(
    make_trainer: MakeTrainer, stream: Stream, accumulation: int
) -> None:
    """However many batches it takes, and however unequal they are."""
    trainer = make_trainer(dropout=0.0, accumulation=accumulation)
    twin = make_trainer(dropout=0.0).model
    batches = [batch for batch, _ in islice(Loader(stream).batches(Position(0, 0)), accumulation)]
    num_labels, total = 0, torch.zeros(())
    for batch in batches:
        labels = batch.tgt_ids[:, 1:]
        logits = twin(batch.src_ids, batch.tgt_ids[:, :-1])
        total = total + torch.nn.functional.cross_entropy(
            *(logits.flatten(0, 1), labels.flatten()),
            ignore_index=0,
            reduction="sum",
            label_smoothing=0.1,
        )
        num_labels += int((labels != 0).sum())
    (total / num_labels).backward()
    norm = torch.stack([weight.grad.square().sum() for weight in twin.parameters()]).sum().sqrt()  # type: ignore[union-attr]

    report = trainer.update()

    assert report.target_tokens == num_labels
    assert float(report.loss) == pytest.approx(total.item() / num_labels, rel=1e-5)
    assert float(report.gradient_norm) == pytest.approx(float(norm), rel=1e-4)
    assert trainer.progress.position == Position(0, accumulation)


def test_the_gradient_is_clipped_before_the_step(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.recipe = replace(trainer.recipe, train=replace(trainer.recipe.train, clip_norm=0.01))

    report = trainer.update()

    squares = [weight.grad.square().sum() for weight in trainer.model.parameters()]  # type: ignore[union-attr]
    assert float(report.gradient_norm) > 0.1
    assert float(sum(squares)) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_each_update_takes_its_learning_rate_from_the_schedule(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_updates=12)

    rates = [trainer.update().learning_rate for _ in range(12)]

    assert rates == [
        learning_rate(update, peak=3e-3, warmup_updates=5, max_updates=12, cooldown_updates=4)
        for update in range(1, 13)
    ]


def test_the_first_step_is_that_of_adam(make_trainer: MakeTrainer) -> None:
    """Adam's first step moves each weight by the rate, against the sign of its gradient."""
    trainer = make_trainer(dropout=0.0)
    before = weights_of(trainer)

    rate = trainer.update().learning_rate

    for name, weight in trainer.model.named_parameters():
        assert weight.grad is not None
        large = weight.grad.abs() > 1e-5
        moved = (weight.detach() - before[name])[large]
        expected = -rate * weight.grad.sign()[large]
        torch.testing.assert_close(moved, expected, rtol=1e-2, atol=1e-7)


def test_the_last_updates_learn_from_the_final_stream(
    make_trainer: MakeTrainer, stream: Stream
) -> None:
    trainer = make_trainer(max_updates=6, final_updates=4)
    final = replace(stream, directions=[Direction(True, "de", [1.0])])

    seen = [trainer.update().target_tokens for _ in range(6)]

    position = trainer.progress.position
    assert position.round == 1  # the round it was in was left for the next one
    batches = [*islice(Loader(stream).batches(Position(0, 0)), 2)]
    batches += islice(Loader(final).batches(Position(1, 0)), 4)
    labels = [batch.count_labels(pad_id=0) for batch, _ in batches]
    assert seen == labels
    assert position == batches[-1][1]


@pytest.mark.parametrize("final_updates", [0, 13, 15, 18])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_restored_run_goes_on_exactly(
    make_trainer: MakeTrainer, tmp_path: Path, optimizer: str, final_updates: int
) -> None:
    """Stopped after 5 of 20 updates: before, with and after the last phase's beginning."""
    settings = {"dropout": 0.3, "accumulation": 2, "optimizer": optimizer}
    uninterrupted, stopped, resumed = (
        make_trainer(**settings, final_updates=final_updates) for _ in range(3)
    )
    reports = [uninterrupted.update() for _ in range(12)]

    for _ in range(5):
        stopped.update()
    checkpoint.save(tmp_path / "last.safetensors", stopped.checkpoint(with_optimizer=True))
    torch.manual_seed(12345)  # a new process starts from other random numbers
    resumed.restore(tmp_path / "last.safetensors")

    assert [resumed.update() for _ in range(7)] == reports[5:]
    assert_equal_weights(resumed, uninterrupted)
    assert resumed.progress == uninterrupted.progress
    assert resumed.progress.position.round >= 1  # else the position was hardly tested


def test_random_numbers_differ_between_updates(make_trainer: MakeTrainer) -> None:
    """The generator is set in each update: it must not be set to the same."""
    trainer = make_trainer(dropout=0.5)
    drawn = []
    for number in range(3):
        trainer.progress.update = number
        trainer.update()
        drawn.append(torch.rand(()).item())

    assert len(set(drawn)) == 3


def test_a_run_depends_on_its_seed_only(make_trainer: MakeTrainer) -> None:
    torch.manual_seed(1)
    first = make_trainer(dropout=0.3)
    torch.manual_seed(2)
    second = make_trainer(dropout=0.3)

    assert [first.update() for _ in range(3)] == [second.update() for _ in range(3)]
    assert_equal_weights(first, second)


def test_a_checkpoint_to_ship_holds_no_optimiser(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.update()

    assert not trainer.checkpoint(with_optimizer=False).extra
    assert trainer.checkpoint(with_optimizer=True).extra


def test_a_checkpoint_says_how_it_came_to_be(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_updates=9)
    trainer.update()

    saved = trainer.checkpoint(with_optimizer=False)

    assert saved.history["recipe"] == "toy"
    assert saved.history["train"]["max_updates"] == 9
    assert saved.history["progress"]["update"] == 1
    assert saved.directions == (("en", "de"), ("de", "en"))


def test_another_model_is_not_restored(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, make_trainer(dropout=0.3).checkpoint(with_optimizer=True))

    with pytest.raises(ValueError, match=r"last\.safetensors holds another model"):
        make_trainer(dropout=0.2).restore(path)


def test_batches_that_cannot_be_shared_out_are_refused(make_trainer: MakeTrainer) -> None:
    processes = Processes()
    processes.count = 2

    with pytest.raises(ValueError, match="3 batches an update cannot be shared out among 2"):
        make_trainer(processes, accumulation=3)


def test_a_run_can_begin_with_the_weights_of_another(make_trainer: MakeTrainer) -> None:
    other = make_trainer(dropout=0.3)
    other.update()

    trainer = make_trainer(dropout=0.0)
    trainer.begin_with(other.checkpoint(with_optimizer=True))

    assert_equal_weights(trainer, other)
    assert trainer.progress.update == 0


def test_a_run_cannot_begin_with_another_model(
    make_trainer: MakeTrainer, make_config: Callable[..., ModelConfig]
) -> None:
    start = make_trainer().checkpoint(with_optimizer=False)

    with pytest.raises(ValueError, match="the start is another model than the recipe's"):
        make_trainer().begin_with(replace(start, model=make_config()))


def test_a_run_cannot_begin_with_the_weights_of_another_tokenizer(
    make_trainer: MakeTrainer,
) -> None:
    start = make_trainer().checkpoint(with_optimizer=False)
    lines = [side for pair in toy_pairs(50, seed=9) for side in pair]
    other = train_tokenizer(lines, 290, ("en", "de"))

    with pytest.raises(ValueError, match="the start has another tokenizer"):
        make_trainer().begin_with(replace(start, tokenizer=other))


def test_muon_moves_the_matrices_of_the_layers_and_adamw_the_rest(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(optimizer="muon", dropout=0.0)
    before = weights_of(trainer)

    rate = trainer.update().learning_rate

    for name, weight in trainer.model.named_parameters():
        moved = (before[name] - weight.detach()) / rate
        is_matrix = weight.dim() == 2 and name != "embedding.weight"
        if is_matrix:  # every direction by about the same length
            values = torch.linalg.svdvals(moved) / (UPDATE_RMS * max(weight.shape) ** 0.5)
            assert 0.5 < float(values.median()) < 1.3, name
        else:
            assert float(moved.abs().max()) == pytest.approx(1.0, rel=1e-2), name


def test_every_layer_is_compiled_where_the_recipe_wants_it(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **_: compiled.append(module))

    make_trainer()
    assert not compiled

    model = make_trainer(compile="true").model
    assert compiled == [*model.encoder.layers, *model.decoder.layers]


def test_auto_takes_bfloat16_where_the_hardware_has_it(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for has_it, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(Processes, "multiplies_bfloat16", has_it)
        assert make_trainer(precision="auto").precision == expected
