"""Random weights that end by themselves, after about as many tokens as the source has."""

import numpy as np
import pytest
import torch

from deploy.bench.random_models import fill_vocabulary, random_checkpoint
from model.config import ModelConfig
from model.search import greedy_search
from model.tokenizer import Tokenizer
from tests.bundles import tiny_checkpoint, tiny_tokenizer

MAX_TOKENS = 100
CONFIG = ModelConfig(
    vocab_size=500,
    d_model=128,
    d_ff=256,
    num_heads=2,
    num_encoder_layers=2,
    num_decoder_layers=2,
    dropout=0.0,
)


def sources_of_all_lengths() -> list[list[int]]:
    tokenizer, generator = tiny_tokenizer(), np.random.default_rng(1)
    return [
        [tokenizer.tag_id("de"), *generator.integers(280, 400, length).tolist(), tokenizer.eos_id]
        for length in range(5, 45)
    ]


def test_a_model_is_the_same_whatever_was_drawn_before() -> None:
    sources = sources_of_all_lengths()[::8]
    torch.manual_seed(1)
    one = random_checkpoint("tiny", CONFIG, tiny_checkpoint(), sources)
    torch.manual_seed(2)
    other = random_checkpoint("tiny", CONFIG, tiny_checkpoint(), sources)

    assert all(torch.equal(other.weights[name], weight) for name, weight in one.weights.items())


def test_lengths_of_targets_follow_those_of_sources() -> None:
    torch.set_num_threads(1)
    sources = sources_of_all_lengths()
    made = random_checkpoint("tiny", CONFIG, tiny_checkpoint(), sources[::3])

    found = greedy_search(made.build(), made.tokenizer, sources, MAX_TOKENS)

    lengths = [len(hypothesis.token_ids) for hypothesis in found]
    assert all(hypothesis.is_complete for hypothesis in found)
    assert np.corrcoef(lengths, [len(source) for source in sources])[0, 1] > 0.8
    assert len({tuple(hypothesis.token_ids) for hypothesis in found}) > len(found) / 2


def test_a_filled_vocabulary_cuts_text_as_before() -> None:
    filled = Tokenizer(fill_vocabulary(tiny_tokenizer(), 500))

    assert filled.vocab_size == 500
    for text in ("The dog sees a house.", "ein Hund", "日本"):
        assert filled.encode(text) == tiny_tokenizer().encode(text)


def test_a_vocabulary_cannot_shrink() -> None:
    with pytest.raises(ValueError, match="400 pieces; limit 300"):
        fill_vocabulary(tiny_tokenizer(), 300)
