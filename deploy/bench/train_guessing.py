"""How many tokens a step chooses with a trained head: `python -m deploy.bench.train_guessing`.

The model stays as it is. Of pairs such as it was trained on, the head learns what the model would
say after the token that comes next; then greedy translations of the recipe's validation sets are
gone through. 700,000 labels took 25 minutes of one core.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deploy.bench.guessing import NUM_GUESSED, Head, count_steps, decode, guess
from model import checkpoint
from model.batching import Batch, Position, make_example, pad
from model.checkpoint import Checkpoint
from model.corpus import Pair
from model.held_out import load_validation, sides
from model.loader import Loader, worker_count
from model.processes import Processes
from model.recipe import Recipe
from model.search import greedy_search
from model.streams import load_corpora, make_stream
from model.transformer import Transformer
from model.validate import max_target_tokens

PEAK_LEARNING_RATE, WARMUP_UPDATES = 3e-3, 50
WEIGHT_DECAY = 0.05
MAX_BATCH_TOKENS = 16_000  # more would leave a head of this size too few updates
MEASURED_SENTENCES = 64  # of each validation set and direction


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to learn: so many labels, or so many minutes if they are over sooner."""

    labels: float
    minutes: float

    def spent(self, labels: int, seconds: float) -> float:
        """The share that is spent, from 0 on; at 1 it is over."""
        return max(labels / self.labels, seconds / (60 * self.minutes))


class HeadTrainer:
    """A frozen model, and the head that learns from it."""

    def __init__(self, model: Transformer, processes: Processes, seed: int) -> None:
        """Begin with a random head."""
        torch.manual_seed(seed)
        self.model = model.requires_grad_(requires_grad=False).eval().to(processes.device)
        self.head = Head(model.config).to(processes.device)
        self._device = processes.device
        self._is_bfloat16 = processes.multiplies_bfloat16
        self._optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
        )
        self._num_updates = 0

    def update(self, batch: Batch, spent: float) -> Float[Tensor, ""]:
        """Learn from a batch; return the mean loss of a label, in nats.

        Args:
            spent: share of the budget, which the learning rate falls with to zero.
        """
        self._num_updates += 1
        warmth = min(1.0, self._num_updates / WARMUP_UPDATES)
        for group in self._optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * warmth * max(0.0, 1.0 - spent)
        src_ids, tgt_ids = batch.to(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._is_bfloat16):
            loss = loss_of(self.head, self.model, src_ids, tgt_ids)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.head.parameters(), 1.0)
        self._optimizer.step()
        return loss.detach()


def loss_of(
    head: Head,
    model: Transformer,
    src_ids: Int[Tensor, "batch source"],
    tgt_ids: Int[Tensor, "batch target"],
) -> Float[Tensor, ""]:
    """Cross entropy between guesses and what the model says one position later.

    The reference stands for the token that is chosen in between. What the model thinks of tokens
    that are never guessed is left out, so where it expects one of those, little is learnt.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2.
    """
    with torch.no_grad():
        decoded = decode(model, src_ids, tgt_ids[:, :-1])
        is_label = tgt_ids[:, 2:] != model.config.pad_id  # (batch, target - 2)
        later = model.output(decoded.states[:, 1:][is_label])  # (label, vocab)
        wanted = later.float().softmax(dim=-1)[:, :NUM_GUESSED]
    before = decoded._replace(states=decoded.states[:, :-1])
    guessed = guess(head, model, before, tgt_ids[:, 1:-1])[is_label]  # (label, guessed)
    return -(wanted * guessed.float().log_softmax(dim=-1)).sum() / len(wanted)


@torch.no_grad()
def tokens_and_steps(
    head: Head,
    model: Transformer,
    sources: Sequence[Sequence[int]],
    translated: Sequence[Sequence[int]],
) -> tuple[int, int]:
    """Tokens that greedy translations have, and the steps that they take with guesses.

    Args:
        translated: what greedy search makes of `sources`, from `bos` on, with `eos`.
    """
    device, pad_id = model.embedding.weight.device, model.config.pad_id
    tgt_ids = pad(translated, pad_id).to(device)
    decoded = decode(model, pad(sources, pad_id).to(device), tgt_ids[:, :-1])
    guessed = guess(head, model, decoded, tgt_ids[:, 1:]).argmax(dim=-1)  # (batch, target)
    is_right = (guessed[:, :-1] == tgt_ids[:, 2:]).tolist()
    tokens = [len(row) - 1 for row in translated]
    steps = [count_steps(row[: count - 1]) for row, count in zip(is_right, tokens, strict=True)]
    return sum(tokens), sum(steps)


def measure(head: Head, model: Transformer, saved: Checkpoint, recipe: Recipe) -> Iterator[str]:
    """Tokens a step on each validation set, as lines."""
    tokenizer = saved.tokenizer
    for name, pairs in load_validation(recipe).items():
        for source, target in recipe.directions:
            texts, _ = sides(recipe, pairs[:MEASURED_SENTENCES], source)
            sources = [make_example(tokenizer, target, Pair(text, "")).src_ids for text in texts]
            longest = max(map(len, sources))
            found = greedy_search(model, tokenizer, sources, max_target_tokens(longest))
            translated = [
                [tokenizer.bos_id, *one.token_ids, *[tokenizer.eos_id] * one.is_complete]
                for one in found
            ]
            tokens, steps = tokens_and_steps(head, model, sources, translated)
            yield f"{name} {source}-{target}: {tokens / steps:.3f} tokens a step"


def train(saved: Checkpoint, recipe: Recipe, budget: Budget) -> None:
    """Learn until the budget is spent, and print what came of it."""
    size = min(recipe.train.batch_tokens, MAX_BATCH_TOKENS)
    recipe = replace(recipe, train=replace(recipe.train, batch_tokens=size))
    with Processes() as processes:
        stream = make_stream(recipe, saved.tokenizer, load_corpora(recipe, print), is_final=True)
        loader = Loader(stream, worker_count(processes.device, processes.count))
        trainer = HeadTrainer(saved.build(), processes, recipe.train.seed)
        labels, started, said = 0, time.monotonic(), 0.0
        for batch, _ in loader.batches(Position(0, 0)):
            spent = budget.spent(labels, time.monotonic() - started)
            if spent >= 1:
                break
            loss = trainer.update(batch, spent)
            labels += batch.count_labels(recipe.model.pad_id)
            if spent >= said:
                print(f"{spent:4.0%}  {labels:,} labels  loss {loss:.3f}", flush=True)
                said += 0.05
        for line in measure(trainer.head, trainer.model, saved, recipe):
            print(line)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="deploy.bench.train_guessing", description=__doc__)
    parser.add_argument("recipe", type=Path, help="whose corpora are learnt from")
    parser.add_argument("checkpoint", type=Path, help="the finished model")
    parser.add_argument("--data", type=Path, help="the folder that the recipe's files are in")
    parser.add_argument("--labels", type=float, default=20e6, help="to learn from [20e6]")
    parser.add_argument("--max-minutes", type=float, default=float("inf"), help="[no limit]")
    return parser


def main(argv: Sequence[str]) -> None:
    """Train, measure, print."""
    arguments = make_parser().parse_args(argv)
    train(
        checkpoint.load(arguments.checkpoint),
        Recipe.load(arguments.recipe, arguments.data),
        Budget(labels=arguments.labels, minutes=arguments.max_minutes),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
