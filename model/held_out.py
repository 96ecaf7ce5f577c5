"""Pairs that nothing is learnt from: to validate on while training, and to test the result."""

from collections.abc import Callable, Sequence
from pathlib import Path

from model.checkpoint import Checkpoint
from model.corpus import Pair, PairFilter, load_corpus
from model.recipe import Recipe
from model.scores import score
from model.validate import translate


def load_all(recipe: Recipe, files: tuple[str, ...]) -> list[Pair]:
    """Every pair of two aligned files, however long."""
    everything = PairFilter(max_words=10**6, ratio_from=10**6)
    return load_corpus(recipe.data, files, everything)


def load_validation(recipe: Recipe) -> dict[str, list[Pair]]:
    """The recipe's validation pairs, by the name of their first file."""
    return {
        Path(entry.files[0]).stem: load_all(recipe, entry.files)[: entry.max_sentences]
        for entry in recipe.validation
    }


def sides(recipe: Recipe, pairs: Sequence[Pair], source: str) -> tuple[list[str], list[str]]:
    """What is translated from the language `source`, and what that is compared with."""
    first, second = [pair.first for pair in pairs], [pair.second for pair in pairs]
    return (first, second) if source == recipe.languages[0] else (second, first)


def test(recipe: Recipe, finished: Checkpoint, say: Callable[[str], None]) -> None:
    """Score `finished` on the recipe's test sets in every direction, by beam search."""
    model = finished.build()
    for entry in recipe.tests:
        pairs = load_all(recipe, entry.files)
        for source, target in recipe.directions:
            sources, references = sides(recipe, pairs, source)
            translated = translate(
                *(model, finished.tokenizer, target, sources), beam_size=entry.beam_size
            )
            scored = score(translated, references, lowercase=recipe.tokenizer.lowercase)
            name = f"{Path(entry.files[0]).stem} {source}-{target}"
            say(f"test {name}, beam {entry.beam_size}: {scored}")
            say(f"  BLEU|{scored.bleu_signature}\n  chrF|{scored.chrf_signature}")
