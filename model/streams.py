"""What a recipe learns from: its corpora in memory, and the endless stream drawn from them."""

from collections.abc import Callable, Sequence

from model.batching import ROUND_SENTENCES, Direction, Stream
from model.corpus import Pair, PairFilter, load_corpus
from model.recipe import Recipe
from model.tokenizer import Tokenizer


def load_corpora(recipe: Recipe, say: Callable[[str], None]) -> list[list[Pair]]:
    """The pairs of each corpus that are kept; `say` is told how many, and why others are not."""
    corpora = []
    for corpus in recipe.corpora:
        pair_filter = PairFilter()
        corpora.append(load_corpus(recipe.data, corpus.files, pair_filter))
        counts = ", ".join(f"{n:,} {reason}" for reason, n in pair_filter.counts.items())
        say(f"corpus {' '.join(corpus.files)}: {counts}")
    return corpora


def make_stream(
    recipe: Recipe, tokenizer: Tokenizer, corpora: Sequence[Sequence[Pair]], *, is_final: bool
) -> Stream:
    """The examples of a recipe.

    Args:
        is_final: drawn by `CorpusConfig.final_weight`.
    """
    return Stream(
        tokenizer=tokenizer,
        corpora=corpora,
        directions=_directions(recipe, is_final=is_final),
        augment=recipe.augment,
        batch_tokens=recipe.train.batch_tokens,
        seed=recipe.train.seed,
        round_sentences=max(ROUND_SENTENCES, 2 * recipe.train.batch_tokens),
    )


def _directions(recipe: Recipe, *, is_final: bool) -> list[Direction]:
    """What to learn, and from how much of each corpus."""
    return [
        Direction(
            forward=source == recipe.languages[0],
            target=target,
            weights=[
                corpus.weight_for(source, target, is_final=is_final) for corpus in recipe.corpora
            ],
        )
        for source, target in recipe.directions
    ]
