"""Translate on the command line, straight on a bundle: `dragoman translate --from de --to en`."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.errors import BundleError, ServiceError, SettingsError
from service.offline import WINDOW, OfflineTranslator
from service.translation import AUTO, OptionsWish


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dragoman translate",
        description="Translate texts, a file, or standard input line by line.",
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts; none reads --input")
    parser.add_argument(
        "--from", dest="source", default=AUTO, metavar="CODE", help="language of the text [auto]"
    )
    parser.add_argument("--to", dest="target", required=True, metavar="CODE")
    parser.add_argument("--input", type=Path, metavar="FILE", help="lines to translate [stdin]")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where they go [stdout]")
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="[the one shipped]")
    parser.add_argument("--precision", help="int8, float32 or auto")
    parser.add_argument(
        "--formality", default="default", help="formal or informal, where the model has a choice"
    )
    _add_options(parser)
    return parser.parse_args(argv)


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("decoding, as by the API's options of these names")
    group.add_argument("--beam-size", type=int, help="live hypotheses; 1 is greedy")
    group.add_argument("--length-penalty", type=float, help="higher favours longer translations")
    group.add_argument("--no-repeat-ngram-size", type=int, help="no run of so many tokens twice")
    group.add_argument(
        "--suppressed-text",
        dest="suppressed_texts",
        action="append",
        default=[],
        help="a word or phrase to avoid; may be given again",
    )
    group.add_argument("--target-prefix", default="", help="what each translation begins with")
    group.add_argument("--temperature", type=float, help="draw tokens; below 1 is less random")
    group.add_argument("--top-k", type=int, help="draw among so many of the likeliest tokens")
    group.add_argument("--top-p", type=float, help="draw among those with this probability")
    group.add_argument("--seed", type=int, help="draw the same again")


def _read_options(arguments: argparse.Namespace) -> OptionsWish:
    """The decoding options; a seed that had to be drawn is told on standard error."""
    names = {field.name for field in fields(OptionsWish)} & vars(arguments).keys()
    given = {name: getattr(arguments, name) for name in names}
    wish = OptionsWish(**{**given, "suppressed_texts": tuple(arguments.suppressed_texts)})
    seeded = wish.with_seed()
    if seeded != wish:
        print(f"dragoman translate: seed {seeded.seed}", file=sys.stderr)
    return seeded


def count_lines(path: Path) -> int:
    """Lines of a file, for the progress bar."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def with_progress(lines: Iterable[str], total: int | None) -> Iterator[str]:
    """Pass on `lines`, drawing a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} lines"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(lines, total=total)


def run(arguments: argparse.Namespace) -> None:
    """Translate everything, in order; lines leave as soon as they and those before are done."""
    options = _read_options(arguments)
    with ExitStack() as stack:
        source: Iterable[str] = arguments.texts
        total: int | None = len(arguments.texts)
        if not arguments.texts:
            total = count_lines(arguments.input) if arguments.input else None
            file: TextIO = sys.stdin
            if arguments.input:
                file = stack.enter_context(arguments.input.open(encoding="utf-8", newline="\n"))
            source = (line.rstrip("\r\n") for line in file)
        output: TextIO = sys.stdout
        if arguments.output:
            output = stack.enter_context(arguments.output.open("w", encoding="utf-8"))
        translator = stack.enter_context(
            OfflineTranslator(bundle=arguments.bundle, precision=arguments.precision)
        )
        is_typed = not arguments.texts and not arguments.input and sys.stdin.isatty()
        translated = translator.translate(
            source,
            arguments.source,
            arguments.target,
            options,
            formality=arguments.formality,
            window=1 if is_typed else WINDOW,  # who types a line waits for its translation
        )
        shows_bar = arguments.output is not None and total is not None
        texts = (translation.candidates[0].text for translation in translated)
        for text in with_progress(texts, total) if shows_bar else texts:
            print(text, file=output, flush=not arguments.output)


def main(argv: Sequence[str]) -> int:
    """Translate; exit code 2 and a message for what is refused."""
    try:
        run(parse(argv))
    except (ServiceError, BundleError, SettingsError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"dragoman translate: {error}", file=sys.stderr)
        return 2
    return 0
