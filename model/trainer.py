"""The state of a training run: one update at a time, saved and restored exactly."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model import checkpoint
from model.batching import Batch, Position, Stream
from model.checkpoint import Checkpoint
from model.loader import Loader, worker_count
from model.loss import Goal, Objective
from model.muon import Muon
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
    """What one update saw: mean loss a label in nats, labels, gradient norm, learning rate.

    Loss and norm are scalars on the device: reading them waits for it, so nobody should at once.
    """

    loss: Float[Tensor, ""]
    target_tokens: int
    gradient_norm: Float[Tensor, ""]
    learning_rate: float


class Trainer:
    """Owns model, optimiser and place in the data.

    Random numbers are drawn afresh from (seed, update, rank) in every update, so that a
    resumed run needs no generator state to equal an uninterrupted one.
    """

    def __init__(
        self,
        recipe: Recipe,
        tokenizer: Tokenizer,
        streams: tuple[Stream, Stream],
        processes: Processes,
    ) -> None:
        """Begin with random weights.

        Args:
            streams: what to learn from, at first and in the last `final_updates`.
        """
        if recipe.train.accumulation % processes.count:
            raise ValueError(
                f"{recipe.train.accumulation} batches an update cannot be shared out "
                f"among {processes.count} processes"
            )
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.processes = processes
        self.progress = Progress()
        workers = worker_count(processes.device, processes.count)
        self._loaders = [Loader(stream, workers) for stream in streams]
        self._batches: Iterator[tuple[Batch, Position]] | None = None
        torch.manual_seed(recipe.train.seed)
        self.model = Transformer(recipe.model).to(processes.device)
        self.precision = recipe.train.precision
        if self.precision == "auto":
            self.precision = "bfloat16" if processes.multiplies_bfloat16 else "float32"
        self._optimizers = self._make_optimizers()
        self._forward = self._wrap(self.model)

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW, and Muon for the matrices of the layers where the recipe wants it."""
        layers = {
            parameter
            for part in (self.model.encoder, self.model.decoder)
            for parameter in part.parameters()
            if parameter.dim() == 2
        }
        by_muon = layers if self.recipe.train.optimizer == "muon" else set()
        parameters = list(self.model.parameters())
        decay = self.recipe.train.weight_decay
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [parameter for parameter in parameters if parameter not in by_muon],
                lr=0.0,
                betas=BETAS,
                eps=EPSILON,
                weight_decay=decay,
                fused=True,
            )
        ]
        if by_muon:
            matrices = [parameter for parameter in parameters if parameter in by_muon]
            optimizers.append(Muon(matrices, self.processes, weight_decay=decay))
        return optimizers

    def _wrap(self, model: Transformer) -> nn.Module:
        """The loss as training calls it: shared between processes, perhaps compiled."""
        goal = Goal(self.recipe.train.label_smoothing, self.recipe.train.consistency)
        wrapped: nn.Module = Objective(model, self.tokenizer.pad_id, goal)
        if self.recipe.train.compile:
            for layer in (*model.encoder.layers, *model.decoder.layers):
                layer.compile(dynamic=True)
        if self.processes.count > 1:
            wrapped = DistributedDataParallel(wrapped, gradient_as_bucket_view=True)
        return wrapped

    def update(self) -> UpdateReport:
        """Learn from the next `accumulation` batches, each process from its share of them."""
        config = self.recipe.train
        number = self.progress.update + 1
        torch.manual_seed(hash((config.seed, number, self.processes.rank)))
        batches = self._next_batches(config.accumulation)
        labels = sum(batch.count_labels(self.tokenizer.pad_id) for batch in batches)
        rate = learning_rate(
            number,
            peak=config.peak_learning_rate,
            warmup_updates=config.warmup_updates,
            max_updates=config.max_updates,
            cooldown_updates=config.cooldown_updates,
            plateau=config.plateau,
        )
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.model.train()
        self.model.zero_grad()
        mine = batches[self.processes.rank :: self.processes.count]
        losses = [self._backward(batch, labels, is_last=batch is mine[-1]) for batch in mine]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm or float("inf"))
        for optimizer in self._optimizers:
            optimizer.step()
        self.progress.update = number
        self.progress.target_tokens += labels
        return UpdateReport(
            loss=self.processes.sum(torch.stack(losses).sum()),
            target_tokens=labels,
            gradient_norm=norm,
            learning_rate=rate,
        )

    def _next_batches(self, count: int) -> list[Batch]:
        """The next `count` batches of the stream, the same in every process."""
        config, done = self.recipe.train, self.progress.update
        final_start = config.max_updates - config.final_updates
        if done == final_start:  # another mix, from its next round on
            self.progress.position = Position(self.progress.position.round + 1, 0)
        if self._batches is None or done == final_start:
            loader = self._loaders[done >= final_start]
            self._batches = loader.batches(self.progress.position)
        batches = []
        for _ in range(count):
            batch, self.progress.position = next(self._batches)
            batches.append(batch)
        return batches

    def _backward(self, batch: Batch, labels: int, *, is_last: bool) -> Float[Tensor, ""]:
        """Add the gradient of one batch; return its share of the update's mean loss."""
        src_ids, tgt_ids = batch.to(self.processes.device)
        waits = isinstance(self._forward, DistributedDataParallel) and not is_last
        with self._forward.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
            with self.autocast():
                loss: Tensor = self._forward(src_ids, tgt_ids) / labels
            # Processes average their gradients; the sum over labels wants them added.
            (loss * self.processes.count).backward()
        return loss.detach()

    def autocast(self) -> torch.autocast:
        """A context in which matrix products have the precision of this run."""
        return torch.autocast(
            self.processes.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bfloat16",
        )

    def checkpoint(self, *, with_optimizer: bool) -> Checkpoint:
        """The run as it stands; with the optimiser it can go on, without it can be used."""
        extra: dict[str, Tensor] = {}
        if with_optimizer:
            for name, state in self._optimizer_states():
                extra |= {f"optimizer.{name}.{key}": value for key, value in state.items()}
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

    def _optimizer_states(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """What is remembered of each parameter, by its name; empty before the first update."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield names[parameter], optimizer.state[parameter]

    def begin_with(self, start: Checkpoint) -> None:
        """Take over trained weights, and nothing else of their run.

        Raises:
            ValueError: if they are of another model or tokenizer.
        """
        if replace(start.model, dropout=0.0) != replace(self.recipe.model, dropout=0.0):
            raise ValueError(f"the start is another model than the recipe's: {start.model}")
        if start.tokenizer.model != self.tokenizer.model:
            raise ValueError("the start has another tokenizer than the run's folder")
        self.model.load_state_dict(dict(start.weights))

    def restore(self, path: Path) -> None:
        """Go on from where `path` was saved.

        Raises:
            ValueError: if it was made by a recipe with another model.
        """
        saved = checkpoint.load(path)
        if saved.model != self.recipe.model:
            raise ValueError(f"{path} holds another model than the recipe {self.recipe.name!r}")
        self.model.load_state_dict(dict(saved.weights))
        for name, state in self._optimizer_states():
            prefix = f"optimizer.{name}."
            state.update(
                (key.removeprefix(prefix), value.to(self.processes.device))
                for key, value in saved.extra.items()
                if key.startswith(prefix)
            )
        progress = dict(saved.history["progress"])
        progress["position"] = Position(*progress["position"])
        self.progress = Progress(**progress)
        self._batches = None
