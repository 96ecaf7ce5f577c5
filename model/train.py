"""Train a model by a recipe: `dragoman train RECIPE`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

from model import checkpoint
from model.checkpoint import Checkpoint
from model.corpus import Pair
from model.held_out import load_validation, sides, test
from model.processes import Processes
from model.recipe import Recipe
from model.run_log import RunLog
from model.scores import score
from model.streams import load_corpora, make_stream
from model.tokenizer import Tokenizer, train_tokenizer
from model.trainer import Trainer, UpdateReport
from model.validate import summed_loss, translate

LAST = "last.safetensors"
AVERAGED = "averaged.safetensors"


class Stop:
    """Raised by SIGTERM, SIGINT or the clock; looked at between updates."""

    def __init__(self, max_minutes: float) -> None:
        self._deadline = time.monotonic() + 60 * max_minutes
        self._is_signalled = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._is_signalled = True

    @property
    def is_asked(self) -> bool:
        """Whether training should end after this update."""
        return self._is_signalled or time.monotonic() >= self._deadline


class Run:
    """A folder of checkpoints and logs, and the training that fills it."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        processes: Processes,
        log: RunLog,
        start: Checkpoint | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.processes = processes
        self.log = log
        self.start = start
        self.corpora = load_corpora(recipe, log.say)
        self.validation = load_validation(recipe)
        self.trainer = self._make_trainer(self._load_tokenizer())
        if start:
            self.trainer.begin_with(start)

    def _load_tokenizer(self) -> Tokenizer:
        path = self.folder / "tokenizer.model"
        if self.processes.leads and not path.exists():
            tokenizer = self.start.tokenizer if self.start else self._learn_tokenizer()
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(tokenizer.model)
            partial.replace(path)
        self.processes.gather(None)  # the others wait for the file
        return Tokenizer(path.read_bytes())

    def _learn_tokenizer(self) -> Tokenizer:
        self.log.say(f"learning a vocabulary of {self.recipe.tokenizer.vocab_size:,}")
        return train_tokenizer(
            self._tokenizer_sample(),
            self.recipe.model.vocab_size,
            self.recipe.languages,
            lowercase=self.recipe.tokenizer.lowercase,
        )

    def _tokenizer_sample(self) -> list[str]:
        """Lines of both languages, drawn by corpus weight."""
        random = Random(self.recipe.train.seed)
        total = sum(corpus.weight for corpus in self.recipe.corpora)
        lines: list[str] = []
        for corpus, pairs in zip(self.recipe.corpora, self.corpora, strict=True):
            share = self.recipe.tokenizer.max_sentences / 2 * corpus.weight / total
            for pair in random.sample(pairs, min(len(pairs), round(share))):
                lines += [f" {pair.first}", f" {pair.second}"]
        random.shuffle(lines)
        return lines

    def _make_trainer(self, tokenizer: Tokenizer) -> Trainer:
        first, final = (
            make_stream(self.recipe, tokenizer, self.corpora, is_final=is_final)
            for is_final in (False, True)
        )
        return Trainer(self.recipe, tokenizer, (first, final), self.processes)

    def train(self, stop: Stop) -> None:
        """Update until the schedule ends, patience does, or `stop` is asked."""
        config = self.recipe.train
        progress = self.trainer.progress
        self.log.begin(progress.update, config.max_updates)
        started = time.monotonic() - progress.seconds
        reports: list[UpdateReport] = []
        logged_at = time.monotonic()
        while progress.update < config.max_updates and not self._is_impatient():
            reports.append(self.trainer.update())
            progress.seconds = time.monotonic() - started
            self.log.advance()
            if progress.update % config.log_every == 0:
                seconds = time.monotonic() - logged_at
                self.log.updates(progress.update, config.max_updates, reports, seconds)
                reports, logged_at = [], time.monotonic()
            if progress.update % config.validate_every == 0:
                self._validate()
                progress.seconds = time.monotonic() - started
                self._keep_weights()
                self._save()
                logged_at = time.monotonic()
            if self.processes.any(stop.is_asked):
                self._save()
                self.log.say(f"stopped after update {progress.update:,}; --resume goes on")
                return
        self._keep_weights()
        self._save()
        self._finish()

    def _is_impatient(self) -> bool:
        patience = self.recipe.train.patience
        means = [record["mean_bleu"] for record in self.trainer.progress.validations]
        return bool(patience and means and len(means) - 1 - means.index(max(means)) >= patience)

    def _validate(self) -> None:
        """Score every validation set in every direction, and keep the record."""
        progress = self.trainer.progress
        scores = {}
        for name, pairs in self.validation.items():
            for source, target in self.recipe.directions:
                sources, references = sides(self.recipe, pairs, source)
                translated = self._translate(target, sources)
                scored = score(translated, references, lowercase=self.recipe.tokenizer.lowercase)
                loss = self._mean_loss(target, list(map(Pair, sources, references)))
                scores[f"{name} {source}-{target}"] = {**asdict(scored), "loss": loss}
                shown = progress.update // self.recipe.train.validate_every % len(pairs)
                self.log.validation(
                    progress.update,
                    f"{name}/{source}-{target}",
                    scored,
                    loss,
                    sources[shown],
                    translated[shown],
                )
        mean = sum(entry["bleu"] for entry in scores.values()) / len(scores)
        self.log.say(f"  mean BLEU {mean:.2f}")
        progress.validations.append(
            {"update": progress.update, "mean_bleu": mean, "scores": scores}
        )

    def _translate(self, target: str, sources: list[str]) -> list[str]:
        """Translate, each process its part."""
        rank, count = self.processes.rank, self.processes.count
        model = self.trainer.model.eval()
        with self.trainer.autocast():
            mine = translate(model, self.trainer.tokenizer, target, sources[rank::count])
        translated = [""] * len(sources)
        for other, part in enumerate(self.processes.gather(mine)):
            translated[other::count] = part
        return translated

    def _mean_loss(self, target: str, pairs: list[Pair]) -> float:
        """Cross entropy of a target token in nats, each process its part of the pairs."""
        rank, count = self.processes.rank, self.processes.count
        model = self.trainer.model.eval()
        with self.trainer.autocast():
            mine = summed_loss(model, self.trainer.tokenizer, target, pairs[rank::count])
        nats, labels = map(sum, zip(*self.processes.gather(mine), strict=True))
        return float(nats / labels)

    def _save(self) -> None:
        """Write the run as it stands, to go on from."""
        if self.processes.leads:
            checkpoint.save(self.folder / LAST, self.trainer.checkpoint(with_optimizer=True))

    def _keep_weights(self) -> None:
        """Write the weights alone, and keep such files of the best and the last only.

        Not where a run merely stopped: its average must not depend on when that was. And
        before `_save`, so that a run killed between the two makes this file again.
        """
        if not self.processes.leads:
            return
        progress, config = self.trainer.progress, self.recipe.train
        this = self._weights_path(progress.update)
        checkpoint.save(this, self.trainer.checkpoint(with_optimizer=False))
        ranked = sorted(progress.validations, key=lambda record: -record["mean_bleu"])
        kept = {self._weights_path(record["update"]) for record in ranked[: config.keep_best]}
        every = sorted(self.folder.glob("update-*.safetensors"))
        for path in set(every) - kept - set(every[-config.average_last :]):
            path.unlink()

    def _weights_path(self, update: int) -> Path:
        return self.folder / f"update-{update:07d}.safetensors"

    def _finish(self) -> None:
        """Average the last checkpoints' weights into the run's result, and test that."""
        if not self.processes.leads:
            return
        paths = sorted(self.folder.glob("update-*.safetensors"))[-self.recipe.train.average_last :]
        averaged = checkpoint.average_files(paths, self.folder / AVERAGED)
        self.log.say(f"averaged {len(paths)} checkpoints into {self.folder / AVERAGED}")
        test(self.recipe, averaged, self.log.say)


def make_parser() -> argparse.ArgumentParser:
    """The command line; torchrun reads it first, and must not take an option for its own."""
    parser = argparse.ArgumentParser(prog="dragoman train", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a TOML file, see model/recipes")
    parser.add_argument("--data", type=Path, help="the folder that the recipe's files are in")
    parser.add_argument("--folder", type=Path, help="for checkpoints and logs [runs/NAME]")
    parser.add_argument(
        "--from", dest="start", type=Path, help="weights and tokenizer to begin with"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--max-minutes", type=float, default=float("inf"))
    return parser


def run_recipe(arguments: argparse.Namespace) -> None:
    """Train as the command line says.

    Raises:
        ValueError, OSError: if recipe, data or the run's folder are not as they must be.
    """
    recipe = Recipe.load(arguments.recipe, arguments.data)
    folder = arguments.folder or Path("runs") / recipe.name
    last = folder / LAST
    if last.exists() and not arguments.resume:
        raise ValueError(f"{last} exists; give --resume to go on, or another --folder")
    stop = Stop(arguments.max_minutes)
    with Processes() as processes, RunLog(folder, is_silent=not processes.leads) as log:
        start = checkpoint.load(arguments.start) if arguments.start else None
        run = Run(recipe, folder, processes, log, start)
        size = sum(parameter.numel() for parameter in run.trainer.model.parameters())
        log.say(f"{recipe.name}: {size / 1e6:.2f} M parameters on {processes.device}")
        if last.exists():
            run.trainer.restore(last)
            log.say(f"resumed after update {run.trainer.progress.update:,}")
        run.train(stop)


def main(argv: Sequence[str]) -> int:
    """Train; the exit code is 0 when the run ended or stopped as asked, 2 if it was refused."""
    try:
        run_recipe(make_parser().parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"dragoman train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
