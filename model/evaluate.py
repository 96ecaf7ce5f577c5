"""Score a checkpoint or a bundle on a test set, check how it behaves, or both.

`dragoman evaluate MODEL SOURCE REFERENCE --from de --to en` prints BLEU and chrF. With `--checks`
the model translates self-written cases too: are numbers, names, URLs and placeholders kept, does
odd input stay in bounds? It needs no test set; if one is given, its translations are looked at for
loops, copies and blanks. Failing cases are listed; the exit status stays 0.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from model import checkpoint
from model.check_cases import load_cases
from model.check_report import as_data, print_outcomes, print_rates
from model.checks import Outcome, judge, measure_rates
from model.corpus import read_lines
from model.scores import score
from model.validate import translate

# (bundle, precision, source, target, texts, beam size) -> translations
TranslateWithBundle = Callable[[Path, str, str, str, Sequence[str], int], list[str]]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Whatever the model is, ready to translate.

    Attributes:
        directions: pairs of codes, (source, target).
        splits_sentences: a text may be any number of them.
        translate: (source, target, texts) -> translations, in order.
    """

    directions: tuple[tuple[str, str], ...]
    splits_sentences: bool
    translate: Callable[[str, str, Sequence[str]], list[str]]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dragoman evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="a checkpoint file or a bundle folder")
    parser.add_argument("source", type=Path, nargs="?", help="sentences to translate, one a line")
    parser.add_argument("reference", type=Path, nargs="?", help="their translations, one a line")
    parser.add_argument("--from", dest="source_language", metavar="CODE")
    parser.add_argument("--to", dest="target_language", metavar="CODE")
    parser.add_argument(
        "--checks",
        action="store_true",
        help="check the behaviour, too; without --from and --to, in every direction",
    )
    parser.add_argument("--beam-size", type=int, default=4, help="1 is greedy [4]")
    parser.add_argument("--precision", default="auto", help="graphs of a bundle [auto]")
    parser.add_argument("--output", type=Path, help="write the translations to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--record", metavar="NAME", help="write the scores into a bundle's manifest"
    )
    arguments = parser.parse_args(argv)
    _require_what_belongs_together(arguments, parser)
    return arguments


def _require_what_belongs_together(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser
) -> None:
    has_files, has_languages = bool(arguments.reference), bool(arguments.source_language)
    if bool(arguments.source) != has_files:
        parser.error("SOURCE goes with REFERENCE")
    if bool(arguments.target_language) != has_languages:
        parser.error("--from goes with --to")
    if has_files and not has_languages:
        parser.error("SOURCE and REFERENCE need --from and --to")
    if not has_files and not arguments.checks:
        parser.error("nothing to do: give SOURCE and REFERENCE, or --checks")
    if not has_files and (arguments.record or arguments.output):
        parser.error("--record and --output need SOURCE and REFERENCE")


def open_model(arguments: argparse.Namespace, with_bundle: TranslateWithBundle) -> Opened:
    """Load the model, or leave that to whoever knows bundles.

    Raises:
        ValueError: if it is neither, or lacks the direction that is asked for.
    """
    opened = _open(arguments, with_bundle)
    source, target = arguments.source_language, arguments.target_language
    if source and (source, target) not in opened.directions:
        raise ValueError(f"{arguments.model} does not translate {source} to {target}")
    return opened


def _open(arguments: argparse.Namespace, with_bundle: TranslateWithBundle) -> Opened:
    path, beam_size = arguments.model, arguments.beam_size
    if path.is_dir():
        directions = read_manifest(path)["directions"]
        return Opened(
            directions=tuple((entry["source"], entry["target"]) for entry in directions),
            splits_sentences=True,
            translate=lambda source, target, texts: with_bundle(
                path, arguments.precision, source, target, texts, beam_size
            ),
        )
    loaded = checkpoint.load(path)
    model = loaded.build()
    return Opened(
        directions=loaded.directions,
        splits_sentences=False,
        translate=lambda source, target, texts: translate(
            model, loaded.tokenizer, target, texts, beam_size=beam_size
        ),
    )


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The table of contents of a bundle.

    Raises:
        ValueError: if `bundle` is no bundle folder, or a damaged one.
    """
    path = bundle / "manifest.json"
    if not path.is_file():
        raise ValueError(f"{bundle} is no bundle: it has no manifest.json")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no manifest: {error}") from error
    return manifest


def record(bundle: Path, name: str, figures: dict[str, Any]) -> None:
    """Put scores into the manifest of a bundle, in one move.

    Raises:
        ValueError: if `bundle` is no bundle folder.
    """
    manifest = read_manifest(bundle)
    manifest["scores"][name] = figures
    path = bundle / "manifest.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def score_files(arguments: argparse.Namespace, opened: Opened, console: Console) -> dict[str, Any]:
    """Translate and score the test set, and with `--checks` look at its translations.

    Raises:
        ValueError: if the files differ in length.
    """
    texts, references = list(read_lines(arguments.source)), list(read_lines(arguments.reference))
    if len(texts) != len(references):
        raise ValueError(
            f"{arguments.source} has {len(texts)} lines, {arguments.reference} {len(references)}"
        )
    started = time.monotonic()
    source, target = arguments.source_language, arguments.target_language
    translated = opened.translate(source, target, texts)
    seconds = time.monotonic() - started
    scores = score(translated, references)
    if arguments.output:
        arguments.output.write_text("\n".join(translated) + "\n", encoding="utf-8")
    figures = {
        "sentences": len(texts),
        "beam_size": arguments.beam_size,
        "precision": arguments.precision,
        **asdict(scores),
    }
    if arguments.record:
        record(arguments.model, f"{arguments.record} {source}-{target}", figures)
    console.print(f"{scores}  {len(texts)} sentences in {seconds:.1f} s", soft_wrap=True)
    console.print(f"BLEU|{scores.bleu_signature}\nchrF|{scores.chrf_signature}", soft_wrap=True)
    figures["seconds"] = round(seconds, 2)
    if arguments.checks:
        rates = measure_rates(texts, translated, references)
        print_rates(rates, console)
        figures["rates"] = asdict(rates)
    return figures


def run_checks(arguments: argparse.Namespace, opened: Opened) -> dict[str, list[Outcome]]:
    """Translate the cases of each direction, and judge what comes out.

    Raises:
        ValueError: if no direction of the model has cases.
    """
    wanted = opened.directions
    if arguments.source_language:
        wanted = ((arguments.source_language, arguments.target_language),)
    cases = [case for case in load_cases() if (case.source, case.target) in wanted]
    if not cases:
        names = ", ".join("-".join(direction) for direction in wanted)
        raise ValueError(f"there are no cases to check for {names}")
    outcomes = {}
    for source, target in dict.fromkeys((case.source, case.target) for case in cases):
        own = [case for case in cases if (case.source, case.target) == (source, target)]
        taken = [case for case in own if opened.splits_sentences or not case.long]
        translated = opened.translate(source, target, [case.text for case in taken])
        found = dict(zip(taken, translated, strict=True))
        outcomes[f"{source}-{target}"] = [judge(case, found.get(case)) for case in own]
    return outcomes


def evaluate(arguments: argparse.Namespace, with_bundle: TranslateWithBundle) -> None:
    """Translate, judge, print.

    Raises:
        ValueError: if the files differ in length, or the model has no such direction.
    """
    console = Console(quiet=arguments.json, markup=False, highlight=False, emoji=False)
    opened = open_model(arguments, with_bundle)
    figures: dict[str, Any] = {}
    if arguments.source:
        figures = score_files(arguments, opened, console)
    if arguments.checks:
        outcomes = run_checks(arguments, opened)
        print_outcomes(outcomes, console)
        figures |= {
            "beam_size": arguments.beam_size,
            "precision": arguments.precision,
            "checks": as_data(outcomes),
        }
    if arguments.json:
        print(json.dumps(figures))


def main(argv: Sequence[str], with_bundle: TranslateWithBundle) -> int:
    """Evaluate; exit code 2 and a message for what is refused.

    Args:
        with_bundle: translates with the serving engine, which this package does not know.
    """
    try:
        evaluate(parse(argv), with_bundle)
    except (ValueError, OSError) as error:
        print(f"dragoman evaluate: {error}", file=sys.stderr)
        return 2
    return 0
