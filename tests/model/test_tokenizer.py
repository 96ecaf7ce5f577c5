import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.formality import FORMALITIES
from model.tokenizer import Tokenizer, language_tag, train_tokenizer
from tests.model.toy import toy_pairs

LINES = [f" {side}" for pair in toy_pairs(300) for side in pair]
HARD_TEXT = st.text(
    alphabet=list("ab ▁\0\n\r\t<>/s2end0x41unkpad\u00a0\u2028\ufeff\u0308ä\u00adß😀\u200d�\x1b\x7f")
)
MARK_UP = ["</s>", "<s>", "<unk>", "<pad>", "<2en>", "<2de>", "<0x41>", "<0xE2>", "▁", " ", "dog"]


@given(st.one_of(st.text(), HARD_TEXT, st.lists(st.sampled_from(MARK_UP)).map("".join)))
@example("")
@example("▁")
@example("▁▁ ▁")
@example("  two  spaces  ")
@example("a\0b")
@example("line\nline\r\n\ttab")
@example("👩‍👩‍👧‍👦 ẞ é é")
@example("\U0010ffff\ufffd")
def test_any_text_survives_and_makes_no_control_token(tokenizer: Tokenizer, text: str) -> None:
    token_ids = tokenizer.encode(text)

    control = {
        *(tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id),
        *(tokenizer.tag_id("de"), tokenizer.tag_id("en")),
    }
    assert tokenizer.decode(token_ids) == text
    assert not control & set(token_ids)
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in token_ids)


def test_the_special_ids_are_the_first_four(tokenizer: Tokenizer) -> None:
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2, 3)


def test_every_language_has_a_tag_of_its_own(tokenizer: Tokenizer) -> None:
    assert language_tag("de") == "<2de>"
    assert len({0, 1, 2, 3, tokenizer.tag_id("de"), tokenizer.tag_id("en")}) == 6


def test_a_language_without_tag_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="no tag for the language 'fr'"):
        tokenizer.tag_id("fr")


def test_a_vocabulary_with_german_has_marks_for_its_forms_of_address(tokenizer: Tokenizer) -> None:
    formal, informal = (tokenizer.formality_id(each) for each in FORMALITIES)

    assert len({formal, informal, tokenizer.tag_id("de"), tokenizer.tag_id("en"), 1}) == 5
    assert tokenizer.decode([formal, *tokenizer.encode("the dog"), informal]) == "the dog"
    assert formal not in tokenizer.encode("<formal>")


def test_a_vocabulary_without_german_has_none() -> None:
    tokenizer = train_tokenizer(LINES, 290, ("en", "fr"))

    with pytest.raises(ValueError, match="no mark for the formality 'formal'"):
        tokenizer.formality_id("formal")


def test_lower_casing_drops_case_and_nothing_else() -> None:
    tokenizer = train_tokenizer(LINES, 290, ("en", "de"), lowercase=True)

    for text in ("The OLD Dog", "ÄÖÜ ß Straße", "  two  spaces ", "Ünïcode №5 Ⅷ ﬁ"):
        assert tokenizer.decode(tokenizer.encode(text)) == text.lower()


def test_special_tokens_are_silent_in_text(tokenizer: Tokenizer) -> None:
    token_ids = [
        *(tokenizer.bos_id, tokenizer.tag_id("de")),
        *tokenizer.encode("the dog"),
        *(tokenizer.eos_id, tokenizer.pad_id),
    ]

    assert tokenizer.decode(token_ids) == "the dog"


def test_broken_utf8_becomes_the_replacement_character(tokenizer: Tokenizer) -> None:
    first_of_four_bytes = tokenizer.encode("😀")[1]

    assert tokenizer.decode([first_of_four_bytes]) == "\ufffd"


def test_a_word_is_the_same_token_at_the_start_and_in_the_middle(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("dog dog")[: len(tokenizer.encode("dog"))] == tokenizer.encode("dog")
    assert tokenizer.encode("dog dog") == 2 * tokenizer.encode("dog")


def test_digits_stand_alone() -> None:
    """Even those of a number so frequent that it would be a token of its own."""
    tokenizer = train_tokenizer(LINES + 2000 * [" 1234 1234"], 310, ("en", "de"))

    assert len(tokenizer.encode("1234")) >= 4


def test_the_vocabulary_has_the_size_asked_for(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == 300


def test_training_is_repeatable() -> None:
    first, second = (train_tokenizer(LINES, 290, ("en", "de")) for _ in range(2))

    assert first.model == second.model


def test_a_tokenizer_survives_as_bytes(tokenizer: Tokenizer) -> None:
    again = Tokenizer(tokenizer.model)

    assert again.encode("the old dog") == tokenizer.encode("the old dog")
