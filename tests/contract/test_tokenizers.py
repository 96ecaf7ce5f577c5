"""The tokenizer that trains and the one that serves are one."""

from hypothesis import given
from hypothesis import strategies as st

import model.tokenizer
import service.tokenizer
from model.tokenizer import train_tokenizer
from service.bundle import Bundle
from service.tokenizer import Tokenizer
from tests.bundles import VOCAB_SIZE, tiny_tokenizer, write_sentences

texts = st.text(st.characters(exclude_categories=["Cs"]))
marked_texts = st.text(st.sampled_from(" \u2581ab\n\t.é日<2de>"))


def serving() -> Tokenizer:
    return Tokenizer(tiny_tokenizer().model)


@given(st.one_of(texts, marked_texts))
def test_both_read_any_text_alike(text: str) -> None:
    assert serving().encode(text) == tiny_tokenizer().encode(text)


@given(st.lists(st.integers(0, VOCAB_SIZE - 1)))
def test_both_write_any_tokens_alike(token_ids: list[int]) -> None:
    assert serving().decode(token_ids) == tiny_tokenizer().decode(token_ids)


def test_both_mark_a_space_alike() -> None:
    assert service.tokenizer.SPACE_MARK == model.tokenizer.SPACE_MARK


def test_one_that_drops_case_knows_the_capitals() -> None:
    lines = [f" {line}" for line in write_sentences("de", 50)]
    trained = train_tokenizer(lines, 310, ("en", "de"), lowercase=True)

    assert [letter for letter in "DGÄЖ" if Tokenizer(trained.model).knows(letter)] == list("DGÄ")


def test_the_tokenizer_in_a_bundle_is_the_one_of_the_checkpoint(bundle: Bundle) -> None:
    loaded = Tokenizer.load(bundle)

    for text in write_sentences("de", 20, seed=8):
        assert loaded.encode(text) == tiny_tokenizer().encode(text)
