"""The system test: all pieces together learn what only a working Transformer can.

Copying needs attention by position and content; reversing needs a position to look for
another one. Both are told from what was never seen in training.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from model.augment import AugmentConfig
from model.batching import Direction, Stream
from model.config import ModelConfig, TrainConfig
from model.corpus import Pair
from model.processes import Processes
from model.recipe import Recipe, TokenizerConfig
from model.tokenizer import train_tokenizer
from model.trainer import Trainer
from model.validate import translate

LETTERS = "abcdefgh"
NEARLY_PERFECT = 0.98  # of held-out sequences, every token right


def sequences(count: int, seed: int) -> list[list[str]]:
    random = Random(seed)
    return [random.choices(LETTERS, k=random.randint(3, 6)) for _ in range(count)]


def learn(task: Callable[[list[str]], list[str]]) -> tuple[Trainer, list[Pair]]:
    """Train on 4,000 sequences; also give 200 that are not among them."""
    texts = [" ".join(sequence) for sequence in sequences(4200, seed=1)]
    pairs = [Pair(text, " ".join(task(text.split()))) for text in texts]
    held_out = list(dict.fromkeys(pair for pair in pairs[4000:] if pair not in set(pairs[:4000])))
    tokenizer = train_tokenizer([f" {text}" for text in texts], 279, ("x", "y"))
    recipe = Recipe(
        name="learning",
        languages=("x", "y"),
        directions=(("x", "y"),),
        data=Path(),
        tokenizer=TokenizerConfig(vocab_size=279),
        model=ModelConfig(
            vocab_size=279,
            d_model=32,
            d_ff=64,
            num_heads=4,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dropout=0.0,
        ),
        train=TrainConfig(
            max_updates=450,
            warmup_updates=50,
            peak_learning_rate=1e-2,
            cooldown_updates=150,
            precision="float32",
        ),
        corpora=(),
        validation=(),
    )
    stream = Stream(
        tokenizer=tokenizer,
        corpora=[pairs[:4000]],
        directions=[Direction(True, "y", [1.0])],
        augment=AugmentConfig(),
        batch_tokens=450,
        seed=1,
        round_sentences=4000,
    )
    trainer = Trainer(recipe, tokenizer, (stream, stream), Processes())
    while trainer.progress.update < recipe.train.max_updates:
        trainer.update()
    return trainer, held_out


def copied(sequence: list[str]) -> list[str]:
    return sequence


def turned_round(sequence: list[str]) -> list[str]:
    return sequence[::-1]


class Learnt(NamedTuple):
    """A trained model and what it has not seen."""

    trainer: Trainer
    held_out: list[Pair]


@pytest.fixture(scope="module", params=[copied, turned_round])
def learnt(request: pytest.FixtureRequest) -> Learnt:
    return Learnt(*learn(request.param))


def test_a_sequence_never_seen_comes_out_right(learnt: Learnt) -> None:
    trainer, held_out = learnt

    translated = translate(
        trainer.model.eval(), trainer.tokenizer, "y", [pair.first for pair in held_out]
    )

    right = sum(text == pair.second for text, pair in zip(translated, held_out, strict=True))
    assert len(held_out) >= 100
    assert right / len(held_out) >= NEARLY_PERFECT


def test_beam_search_finds_what_greedy_search_finds(learnt: Learnt) -> None:
    model, tokenizer = learnt.trainer.model.eval(), learnt.trainer.tokenizer
    texts = [pair.first for pair in learnt.held_out[:8]]

    beam = translate(model, tokenizer, "y", texts, beam_size=4)

    assert beam == translate(model, tokenizer, "y", texts)
