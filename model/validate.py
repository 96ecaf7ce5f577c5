"""Translate sentences with a PyTorch model, and see how well it foretells translations."""

from collections.abc import Sequence

import torch

from model.batching import make_example, to_batch
from model.corpus import Pair
from model.loss import Goal, Objective
from model.search import PLAIN_MEAN, Hypothesis, beam_search, greedy_search
from model.tokenizer import Tokenizer
from model.transformer import Transformer

BATCH_SENTENCES = 64
GPU_BATCH_SENTENCES = 4096


def max_target_tokens(num_source_tokens: int) -> int:
    """How long a translation may get; the service reads the same rule from the manifest."""
    return 2 * num_source_tokens + 16


def translate(
    model: Transformer,
    tokenizer: Tokenizer,
    target_language: str,
    texts: Sequence[str],
    *,
    beam_size: int = 1,
) -> list[str]:
    """Translate sentences, in order; each is one segment.

    Args:
        beam_size: 1 searches greedily in batches, more runs the slow oracle one by one.
    """
    sources = [make_example(tokenizer, target_language, Pair(text, "")).src_ids for text in texts]
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    translated = [""] * len(texts)
    size = GPU_BATCH_SENTENCES if model.embedding.weight.is_cuda else BATCH_SENTENCES
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = [sources[row] for row in rows]
        if beam_size == 1:
            found = greedy_search(model, tokenizer, batch, max_target_tokens(len(batch[-1])))
        else:
            found = _search_beams(model, tokenizer, batch, beam_size)
        for row, source, hypothesis in zip(rows, batch, found, strict=True):
            # The batch ran to the limit of its longest source; alone, each would stop at its own.
            own = hypothesis.token_ids[: max_target_tokens(len(source))]
            translated[row] = tokenizer.decode(own)
    return translated


def _search_beams(
    model: Transformer,
    tokenizer: Tokenizer,
    sources: Sequence[list[int]],
    beam_size: int,
) -> list[Hypothesis]:
    """The best hypothesis of each source, by the oracle and by the mean log probability."""
    return [
        beam_search(
            model,
            tokenizer,
            source,
            beam_size=beam_size,
            length_penalty=PLAIN_MEAN,
            max_tokens=max_target_tokens(len(source)),
        )[0]
        for source in sources
    ]


@torch.no_grad()
def summed_loss(
    model: Transformer, tokenizer: Tokenizer, target_language: str, pairs: Sequence[Pair]
) -> tuple[float, int]:
    """How far the second sides of `pairs` are from what `model` expects of their first sides.

    Returns:
        Cross entropy in nats, without label smoothing, summed over all target tokens, each of
        which is given those before it; and how many those are, `eos` included.
    """
    examples = [make_example(tokenizer, target_language, pair) for pair in pairs]
    examples.sort(key=lambda example: max(map(len, example)))
    objective = Objective(model, tokenizer.pad_id, Goal())
    nats, labels = 0.0, 0
    for start in range(0, len(examples), BATCH_SENTENCES):
        batch = to_batch(examples[start : start + BATCH_SENTENCES], tokenizer.pad_id)
        nats += float(objective(*batch.to(model.embedding.weight.device)))
        labels += batch.count_labels(tokenizer.pad_id)
    return nats, labels
