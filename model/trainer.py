"""The state of a training run: one update at a time, saved and restored exactly."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model import checkpoint
from model.batching import Example, Position, Stream, to_batch
from model.checkpoint import Checkpoint
from model.loss import Objective
from model.processes import Processes
from model.recipe import Recipe
from model.schedule import learning_rate
from model.tokenizer import Tokenizer
from model.transformer import Transformer

BETAS = (0.9, 0.98)  # Vaswani et al. 2017, section 5.3
EPSILON = 1e-9


@dataclass
class Progress:
    """Plain facts about a run, kept in its checkpoints.

    Attributes:
        update: updates made; position: the batch that comes next.
        target_tokens: labels learnt from; seconds: spent training, validation included.
        validations: one record each: update, mean BLEU, and the scores by test set.
    """

    update: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0))
    target_tokens: int = 0
    seconds: float = 0.0
    validations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class UpdateReport:
    """What one update saw: mean loss a label in nats, labels, gradient norm, learning rate."""

    loss: float
    target_tokens: int
    gradient_norm: float
    learning_rate: float


class Trainer:
    """Owns model, optimiser and place in the data.

    Random numbers are drawn afresh from (seed, update, rank) in every update, so that a
    resumed run needs no generator state to equal an uninterrupted one.
    """

    def __init__(
        self, recipe: Recipe, tokenizer: Tokenizer, stream: Stream, processes: Processes
    ) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.processes = processes
        self.progress = Progress()
        self._stream = stream
        self._batches: Iterator[tuple[list[Example], Position]] | None = None
        torch.manual_seed(recipe.train.seed)
        self.model = Transformer(recipe.model).to(processes.device)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=0.0,
            betas=BETAS,
            eps=EPSILON,
            weight_decay=recipe.train.weight_decay,
            fused=True,
        )
        self._forward = self._wrap(self.model)

    def _wrap(self, model: Transformer) -> nn.Module:
        """The loss as training calls it: shared between processes, perhaps compiled."""
        smoothing = self.recipe.train.label_smoothing
        wrapped: nn.Module = Objective(model, self.tokenizer.pad_id, smoothing)
        if self.processes.count > 1:
            wrapped = DistributedDataParallel(wrapped, gradient_as_bucket_view=True)
        if self.recipe.train.compile:
            wrapped = torch.compile(wrapped, dynamic=True)  # type: ignore[assignment]
        return wrapped

    def update(self) -> UpdateReport:
        """Learn from the next `accumulation` batches of every process."""
        config = self.recipe.train
        number = self.progress.update + 1
        torch.manual_seed(hash((config.seed, number, self.processes.rank)))
        batches = self._next_batches(config.accumulation * self.processes.count)
        labels = sum(len(example.tgt_ids) - 1 for batch in batches for example in batch)
        rate = learning_rate(
            number,
            peak=config.peak_learning_rate,
            warmup_updates=config.warmup_updates,
            max_updates=config.max_updates,
            cooldown_updates=config.cooldown_updates,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self._optimizer.zero_grad()
        mine = batches[self.processes.rank :: self.processes.count]
        loss = sum(self._backward(batch, labels, is_last=batch is mine[-1]) for batch in mine)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm or float("inf"))
        self._optimizer.step()
        self.progress.update = number
        self.progress.target_tokens += labels
        return UpdateReport(
            loss=self.processes.sum(loss),
            target_tokens=labels,
            gradient_norm=float(norm),
            learning_rate=rate,
        )

    def _next_batches(self, count: int) -> list[list[Example]]:
        """The next `count` batches of the stream, the same in every process."""
        if self._batches is None:
            self._batches = self._stream.batches(self.progress.position)
        batches = []
        for _ in range(count):
            batch, self.progress.position = next(self._batches)
            batches.append(batch)
        return batches

    def _backward(self, examples: list[Example], labels: int, *, is_last: bool) -> float:
        """Add the gradient of one batch; return its share of the update's mean loss."""
        config = self.recipe.train
        batch = to_batch(examples, self.tokenizer.pad_id)
        src_ids = batch.src_ids.to(self.processes.device)
        tgt_ids = batch.tgt_ids.to(self.processes.device)
        waits = isinstance(self._forward, DistributedDataParallel) and not is_last
        with self._forward.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
            with torch.autocast(
                self.processes.device.type,
                dtype=torch.bfloat16,
                enabled=config.precision == "bfloat16",
            ):
                loss: Tensor = self._forward(src_ids, tgt_ids) / labels
            # Processes average their gradients; the sum over labels wants them added.
            (loss * self.processes.count).backward()
        return float(loss.detach())

    def checkpoint(self, *, with_optimizer: bool) -> Checkpoint:
        """The run as it stands; with the optimiser it can go on, without it can be used."""
        extra = {}
        if with_optimizer:
            for name, parameter in self.model.named_parameters():
                for key, value in self._optimizer.state[parameter].items():
                    extra[f"optimizer.{name}.{key}"] = value
        return Checkpoint(
            model=self.recipe.model,
            weights=self.model.state_dict(),
            tokenizer=self.tokenizer,
            languages=self.recipe.languages,
            directions=self.recipe.directions,
            history={
                "recipe": self.recipe.name,
                "train": self.recipe.train.to_dict(),
                "processes": self.processes.count,
                "progress": asdict(self.progress),
            },
            extra=extra,
        )

    def restore(self, path: Path) -> None:
        """Go on from where `path` was saved.

        Raises:
            ValueError: if it was made by a recipe whose model, or by a number of
                processes, that differs.
        """
        saved = checkpoint.load(path)
        if saved.model != self.recipe.model:
            raise ValueError(f"{path} holds another model than the recipe {self.recipe.name!r}")
        if saved.history["processes"] != self.processes.count:
            raise ValueError(
                f"{path} was saved by {saved.history['processes']} processes; "
                f"{self.processes.count} would take other batches"
            )
        self.model.load_state_dict(dict(saved.weights))
        for name, parameter in self.model.named_parameters():
            prefix = f"optimizer.{name}."
            self._optimizer.state[parameter] = {
                key.removeprefix(prefix): value.to(parameter.device)
                for key, value in saved.extra.items()
                if key.startswith(prefix)
            }
        progress = dict(saved.history["progress"])
        progress["position"] = Position(*progress["position"])
        self.progress = Progress(**progress)
        self._batches = None
