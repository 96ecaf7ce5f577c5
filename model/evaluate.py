"""Score a checkpoint or a bundle on a test set: `dragoman evaluate MODEL SOURCE REFERENCE`."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model import checkpoint
from model.corpus import read_lines
from model.scores import score
from model.validate import translate

# (bundle, precision, source, target, texts, beam size) -> translations
TranslateWithBundle = Callable[[Path, str, str, str, Sequence[str], int], list[str]]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dragoman evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help="a checkpoint file or a bundle folder")
    parser.add_argument("source", type=Path, help="sentences to translate, one a line")
    parser.add_argument("reference", type=Path, help="their translations, one a line")
    parser.add_argument("--from", dest="source_language", required=True, metavar="CODE")
    parser.add_argument("--to", dest="target_language", required=True, metavar="CODE")
    parser.add_argument("--beam-size", type=int, default=4, help="1 is greedy [4]")
    parser.add_argument("--precision", default="auto", help="graphs of a bundle [auto]")
    parser.add_argument("--output", type=Path, help="write the translations to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--record", metavar="NAME", help="write the scores into a bundle's manifest"
    )
    return parser.parse_args(argv)


def translate_lines(
    arguments: argparse.Namespace, texts: Sequence[str], with_bundle: TranslateWithBundle
) -> list[str]:
    """Translate with whatever the model is."""
    path, target = arguments.model, arguments.target_language
    if path.is_dir():
        return with_bundle(
            *(path, arguments.precision, arguments.source_language, target, texts),
            arguments.beam_size,
        )
    loaded = checkpoint.load(path)
    if (arguments.source_language, target) not in loaded.directions:
        raise ValueError(f"{path} does not translate {arguments.source_language} to {target}")
    model = loaded.build()
    return translate(model, loaded.tokenizer, target, texts, beam_size=arguments.beam_size)


def record(bundle: Path, name: str, figures: dict[str, Any]) -> None:
    """Put scores into the manifest of a bundle, in one move.

    Raises:
        ValueError: if `bundle` is no bundle folder.
    """
    path = bundle / "manifest.json"
    if not path.is_file():
        raise ValueError(f"{bundle} is no bundle; scores can be recorded in a bundle only")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["scores"][name] = figures
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def evaluate(arguments: argparse.Namespace, with_bundle: TranslateWithBundle) -> None:
    """Translate, score, print.

    Raises:
        ValueError: if the files differ in length, or the model has no such direction.
    """
    texts, references = list(read_lines(arguments.source)), list(read_lines(arguments.reference))
    if len(texts) != len(references):
        raise ValueError(
            f"{arguments.source} has {len(texts)} lines, {arguments.reference} {len(references)}"
        )
    started = time.monotonic()
    translated = translate_lines(arguments, texts, with_bundle)
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
        direction = f"{arguments.source_language}-{arguments.target_language}"
        record(arguments.model, f"{arguments.record} {direction}", figures)
    if arguments.json:
        print(json.dumps(figures | {"seconds": round(seconds, 2)}))
    else:
        print(f"{scores}  {len(texts)} sentences in {seconds:.1f} s")
        print(f"BLEU|{scores.bleu_signature}\nchrF|{scores.chrf_signature}")


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
