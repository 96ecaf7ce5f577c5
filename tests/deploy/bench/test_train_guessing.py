"""A head learns what the model says one position later, and the model stays as it is."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from deploy.bench.guessing import Head, decode, guess
from deploy.bench.train_guessing import Budget, HeadTrainer, loss_of, main, tokens_and_steps
from model import checkpoint
from model.augment import AugmentConfig
from model.batching import Direction, Position, Stream
from model.loader import Loader
from model.processes import Processes
from tests.bundles import tiny_checkpoint, tiny_tokenizer
from tests.model.toy import toy_pairs, write_recipe

SRC_IDS = torch.tensor([[5, 9, 2, 7, 3]])
TGT_IDS = torch.tensor([[2, 11, 12, 7, 3]])


@pytest.fixture
def trainer() -> HeadTrainer:
    return HeadTrainer(tiny_checkpoint().build(), Processes(), seed=1)


def test_the_head_learns_and_the_model_stays_as_it_is(trainer: HeadTrainer) -> None:
    stream = Stream(
        tokenizer=tiny_tokenizer(),
        corpora=[toy_pairs(100)],
        directions=[Direction(True, "de", [1.0])],
        augment=AugmentConfig(),
        batch_tokens=200,
        seed=1,
        round_sentences=60,
    )
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
    batches = [batch for batch, _ in islice(Loader(stream).batches(Position(0, 0)), 40)]

    losses = [trainer.update(batch, spent=0.0).item() for batch in batches]

    assert sum(losses[-5:]) < sum(losses[:5])
    assert all(weight.equal(before[name]) for name, weight in trainer.model.state_dict().items())


def test_what_is_wanted_is_what_the_model_says_one_position_later() -> None:
    torch.manual_seed(1)
    model, head = tiny_checkpoint().build(), Head(tiny_checkpoint().model)
    decoded = decode(model, SRC_IDS, TGT_IDS[:, :-1])
    wanted = model.output(decoded.states).softmax(dim=-1)[0, 1:]
    log_probs = guess(head, model, decoded, TGT_IDS[:, 1:]).log_softmax(dim=-1)[0, :-1]

    loss = loss_of(head, model, SRC_IDS, TGT_IDS)

    torch.testing.assert_close(loss, -(wanted * log_probs).sum() / 3)


def test_translations_of_unequal_length_are_counted_each_by_itself(trainer: HeadTrainer) -> None:
    sources, translated = [[5, 9, 7, 3], [8, 3]], [[2, 11, 12, 7, 9, 3], [2, 4, 3]]

    both = tokens_and_steps(trainer.head, trainer.model, sources, translated)
    each = [
        tokens_and_steps(trainer.head, trainer.model, [source], [row])
        for source, row in zip(sources, translated, strict=True)
    ]

    assert both == tuple(map(sum, zip(*each, strict=True)))
    assert both[0] == 7


def test_the_command_prints_tokens_a_step_of_every_validation_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, path = write_recipe(tmp_path), tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny_checkpoint())

    main([str(recipe), str(path), "--labels", "500"])

    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[-2:]] == ["dev en-de", "dev de-en"]


def test_it_ends_with_the_first_budget_that_is_spent() -> None:
    budget = Budget(labels=100, minutes=2)

    assert budget.spent(50, seconds=90) == 0.75
    assert budget.spent(100, seconds=0) == 1.0
