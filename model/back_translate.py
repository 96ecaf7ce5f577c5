"""Make sources for sentences that have none: `dragoman back-translate CHECKPOINT`.

A model of the other direction translates them, greedily, so that they can be learnt as targets.
Shorter and longer ones are left out.

Source: Sennrich et al. 2016, "Improving Neural Machine Translation Models with Monolingual Data".
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch

from model import checkpoint
from model.checkpoint import Checkpoint
from model.corpus import read_lines
from model.processes import Processes
from model.validate import translate

MIN_WORDS, MAX_WORDS = 3, 45

_SPACES = str.maketrans("\t\n\r", "   ")


def pairs_from(saved: Checkpoint, source: str, target: str, texts: Sequence[str]) -> list[str]:
    """Translate `texts` from `source` into `target`, on a GPU if there is one.

    Returns:
        The lines of a corpus, "first TAB second" in the order of the checkpoint's languages;
        tabs and line ends inside of a side become spaces.

    Raises:
        ValueError: if the checkpoint has no such direction.
    """
    if (source, target) not in saved.directions:
        known = ", ".join("-".join(pair) for pair in saved.directions)
        raise ValueError(f"the checkpoint translates {known}, not {source}-{target}")
    processes = Processes()
    model = saved.build().to(processes.device)
    with torch.autocast(
        processes.device.type, dtype=torch.bfloat16, enabled=processes.multiplies_bfloat16
    ):
        translated = translate(model, saved.tokenizer, target, texts)
    pairs = zip(texts, translated, strict=True)
    is_first = source == saved.languages[0]
    return [
        "\t".join(side.translate(_SPACES) for side in (pair if is_first else reversed(pair)))
        for pair in pairs
    ]


def read_texts(paths: Sequence[Path], max_sentences: int | None = None) -> list[str]:
    """The lines of `paths` that have `MIN_WORDS` to `MAX_WORDS` words, or some drawn by chance.

    Raises:
        ValueError: if a line is not UTF-8, no line is left, or none is asked for.
    """
    if max_sentences is not None and max_sentences < 1:
        raise ValueError(f"--max-sentences is {max_sentences}; it must be at least 1")
    lines = (line for path in paths for line in read_lines(path))
    texts = [line for line in lines if MIN_WORDS <= len(line.split()) <= MAX_WORDS]
    if not texts:
        names = ", ".join(map(str, paths))
        raise ValueError(f"no line of {names} has {MIN_WORDS} to {MAX_WORDS} words")
    if max_sentences is None or max_sentences >= len(texts):
        return texts
    return Random(1).sample(texts, max_sentences)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dragoman back-translate", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a model of the other direction")
    parser.add_argument("--from", dest="source", required=True, help="language of the sentences")
    parser.add_argument("--to", dest="target", required=True, help="language to make")
    parser.add_argument(
        "--input", type=Path, required=True, nargs="+", help="sentences, one a line; .xz too"
    )
    parser.add_argument("--max-sentences", type=int, help="draw so many by chance [all]")
    parser.add_argument("--output", type=Path, required=True, help="the corpus, a .tsv file")
    return parser


def main(argv: Sequence[str]) -> int:
    """Write the corpus; the exit code is 0, or 2 if something was refused."""
    arguments = make_parser().parse_args(argv)
    try:
        saved = checkpoint.load(arguments.checkpoint)
        texts = read_texts(arguments.input, arguments.max_sentences)
        lines = pairs_from(saved, arguments.source, arguments.target, texts)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"dragoman back-translate: {error}", file=sys.stderr)
        return 2
    return 0
