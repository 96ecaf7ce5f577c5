import pytest
import torch
from torch import nn

from model import validate as validate_module
from model.batching import make_example
from model.corpus import Pair
from model.search import PLAIN_MEAN, Hypothesis, beam_search
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from model.validate import max_target_tokens, summed_loss, translate
from tests.model.conftest import MakeConfig
from tests.model.toy import toy_pairs

TEXTS = [pair.first for pair in toy_pairs(150, seed=9)]


@pytest.fixture
def model(make_config: MakeConfig) -> Transformer:
    return Transformer(make_config(vocab_size=300)).eval()


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that answers with its source, without tag and eos."""

    def greedy(
        model: Transformer, tokenizer: Tokenizer, sources: list[list[int]], max_tokens: int
    ) -> list[Hypothesis]:
        assert max_tokens >= max(len(source) for source in sources)
        return [Hypothesis(source[1:-1], 0.0, is_complete=True) for source in sources]

    monkeypatch.setattr(validate_module, "greedy_search", greedy)


@pytest.mark.usefixtures("echo")
def test_translations_keep_the_order_of_the_texts(model: Transformer, tokenizer: Tokenizer) -> None:
    assert translate(model, tokenizer, "de", TEXTS) == TEXTS


@pytest.mark.usefixtures("echo")
def test_an_empty_list_has_no_translations(model: Transformer, tokenizer: Tokenizer) -> None:
    assert translate(model, tokenizer, "de", []) == []


def test_the_loss_is_that_of_every_token_of_the_second_side(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    """Alone or in batches, of which 150 pairs are three: padding counts nothing."""
    pairs = toy_pairs(150, seed=9)

    found, labels = summed_loss(model, tokenizer, "de", pairs)

    expected, count = 0.0, 0
    for pair in pairs:
        example = make_example(tokenizer, "de", pair)
        src_ids, tgt_ids = torch.tensor([example.src_ids]), torch.tensor([example.tgt_ids])
        logits = model(src_ids, tgt_ids[:, :-1])[0]
        expected += nn.functional.cross_entropy(logits, tgt_ids[0, 1:], reduction="sum").item()
        count += len(example.tgt_ids) - 1
    assert labels == count
    assert found == pytest.approx(expected, rel=1e-5)


def test_nothing_has_no_loss(model: Transformer, tokenizer: Tokenizer) -> None:
    """What a process has to do when there are more of them than pairs."""
    assert summed_loss(model, tokenizer, "de", []) == (0.0, 0)


def test_the_loss_leaves_no_gradient(model: Transformer, tokenizer: Tokenizer) -> None:
    summed_loss(model, tokenizer, "de", toy_pairs(3, seed=1))

    assert all(parameter.grad is None for parameter in model.parameters())


def test_every_source_begins_with_the_tag_of_the_target_language(
    model: Transformer, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def greedy(
        model: Transformer, tokenizer: Tokenizer, sources: list[list[int]], max_tokens: int
    ) -> list[Hypothesis]:
        seen.extend(source[0] for source in sources)
        return [Hypothesis([], 0.0, is_complete=True) for _ in sources]

    monkeypatch.setattr(validate_module, "greedy_search", greedy)
    translate(model, tokenizer, "en", TEXTS[:3])

    assert seen == [tokenizer.tag_id("en")] * 3


def test_translating_together_equals_translating_alone(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    """Random weights never end, so that each translation runs to its own limit."""
    alone = [translate(model, tokenizer, "de", [text])[0] for text in TEXTS[:6]]

    assert translate(model, tokenizer, "de", TEXTS[:6]) == alone
    assert len({len(text) for text in alone}) > 1


def test_a_beam_is_searched_if_asked_for(model: Transformer, tokenizer: Tokenizer) -> None:
    with torch.no_grad():
        model.output.bias[tokenizer.eos_id] += 2.0  # else random weights never end

    found = translate(model, tokenizer, "de", TEXTS[:2], beam_size=2)

    sources = [make_example(tokenizer, "de", Pair(text, "")).src_ids for text in TEXTS[:2]]
    oracle = [
        beam_search(
            model,
            tokenizer,
            source,
            beam_size=2,
            length_penalty=PLAIN_MEAN,
            max_tokens=max_target_tokens(len(source)),
        )[0]
        for source in sources
    ]
    assert found == [tokenizer.decode(hypothesis.token_ids) for hypothesis in oracle]


def test_a_translation_may_be_twice_as_long_and_some() -> None:
    assert max_target_tokens(10) == 36
