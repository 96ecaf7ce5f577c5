"""What a training run says while it goes: lines, a progress bar, TensorBoard points."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard.writer import SummaryWriter

from model.scores import Scores
from model.trainer import UpdateReport


class RunLog:
    """A context manager; a run that does not lead is silent.

    The bar is drawn on a terminal only; elsewhere the lines say the same.
    """

    def __init__(self, folder: Path, *, is_silent: bool) -> None:
        self._console = Console(quiet=is_silent, highlight=False)
        self._writer = None if is_silent else SummaryWriter(str(folder / "tensorboard"))
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} updates  {task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=is_silent or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, start=False)

    def __enter__(self) -> "RunLog":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._writer:
            self._writer.close()

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(line, soft_wrap=True, markup=False)

    def begin(self, update: int, max_updates: int) -> None:
        """Start the bar where the run stands."""
        self._bar.update(self._task, completed=update, total=max_updates)
        self._bar.start_task(self._task)

    def advance(self) -> None:
        """Move the bar by one update."""
        self._bar.advance(self._task)

    def updates(
        self, last: int, max_updates: int, reports: Sequence[UpdateReport], seconds: float
    ) -> None:
        """One line and one point for the updates up to `last`, which took `seconds`."""
        tokens = sum(report.target_tokens for report in reports)
        loss = sum(float(report.loss) * report.target_tokens for report in reports) / tokens
        points = {
            "loss": loss,
            "learning_rate": reports[-1].learning_rate,
            "gradient_norm": float(reports[-1].gradient_norm),
            "tokens_per_second": tokens / seconds,
        }
        speed = f"loss {loss:.3f}  {tokens / seconds:,.0f} tokens/s"
        self._bar.update(self._task, description=speed)
        left = (max_updates - last) * seconds / len(reports) / 60
        self.say(
            f"update {last:,}/{max_updates:,}  {speed}  rate {points['learning_rate']:.2e}  "
            f"norm {points['gradient_norm']:.2f}  left {left:.0f} min"
        )
        self._write(points, last)

    def validation(
        self, update: int, place: str, scores: Scores, loss: float, sample: str, translation: str
    ) -> None:
        """The scores of one test set in one direction, and a translation to look at.

        Args:
            loss: without label smoothing, so that it is below what the updates say.
        """
        self.say(f"  {place}: {scores}  loss {loss:.3f}  ({scores.bleu_signature})")
        self.say(f"    {sample}\n    -> {translation}")
        points = {"bleu": scores.bleu, "chrf": scores.chrf, "validation_loss": loss}
        self._write({f"{name}/{place}": value for name, value in points.items()}, update)

    def _write(self, points: dict[str, float], update: int) -> None:
        if self._writer:
            for name, value in points.items():
                self._writer.add_scalar(name, value, update)
