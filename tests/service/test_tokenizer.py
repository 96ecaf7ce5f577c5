"""The tokenizer of a bundle: lossless, and the one that the golden examples were made with."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import load_bundle
from service.errors import BundleError
from service.tokenizer import SPACE_MARK, Tokenizer
from tests.service.written_bundle import GOLDEN_TEXT, make_manifest, seal, tokenizer_model, write

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(tokenizer_model())


@given(texts)
def test_decoding_gives_any_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  two  spaces ",
        "tab\tand\nline",
        SPACE_MARK,
        f"a{SPACE_MARK}b {SPACE_MARK}",
        "日本",
    ],
)
def test_spaces_and_marks_survive(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ["<s>", "</s>", "<2de>", "<pad>", "<unk>", "<0x41>"])
def test_text_that_looks_like_a_control_token_is_text(tokenizer: Tokenizer, text: str) -> None:
    token_ids = tokenizer.encode(text)

    assert tokenizer.decode(token_ids) == text
    assert not {0, 1, 2, 3, 4, 5} & set(token_ids)


def test_all_but_text_and_eos_is_silent(tokenizer: Tokenizer) -> None:
    assert tokenizer.silent_ids == (0, 1, 2, 4, 5)


def test_special_ids_are_silent(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([2, 5, *tokenizer.encode("the dog"), 0, 3]) == "the dog"


def test_half_a_character_becomes_a_replacement_character(tokenizer: Tokenizer) -> None:
    *most, _ = tokenizer.encode("ж")

    assert tokenizer.decode(most) == "\ufffd"


def test_pieces_have_their_spaces_and_show_the_bytes_of_rare_characters(
    tokenizer: Tokenizer,
) -> None:
    token_ids = tokenizer.encode("the dog")

    assert "".join(tokenizer.pieces(token_ids)) == " the dog"
    assert len(tokenizer.pieces(token_ids)) == len(token_ids)
    assert tokenizer.pieces(tokenizer.encode("ж"))[-2:] == ["<0xD0>", "<0xB6>"]


def test_it_knows_the_characters_that_it_was_trained_on(tokenizer: Tokenizer) -> None:
    assert [letter for letter in "dog ÄżжΩ字😀" if tokenizer.knows(letter)] == list("dog ")


def make_golden(token_ids: list[int]) -> list[dict[str, object]]:
    return [
        {
            "source": "en",
            "target": "de",
            "text": GOLDEN_TEXT,
            "source_ids": [5, *token_ids, 3],
            "target_ids": [3],
        }
    ]


def test_golden_examples_that_agree_are_accepted(tokenizer: Tokenizer, tmp_path: Path) -> None:
    golden = make_golden(tokenizer.encode(GOLDEN_TEXT))

    loaded = Tokenizer.load(load_bundle(write(tmp_path / "bundle", golden)))

    assert loaded.encode(GOLDEN_TEXT) == tokenizer.encode(GOLDEN_TEXT)


def test_another_tokenizer_than_the_examples_were_made_with_is_refused(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    golden = make_golden([*tokenizer.encode(GOLDEN_TEXT)[:-1], 7])
    bundle = load_bundle(write(tmp_path / "bundle", golden))

    with pytest.raises(BundleError, match=r"tokenizer\.model does not tokenise .*the dog"):
        Tokenizer.load(bundle)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "bundle", [])
    (path / "tokenizer.model").write_bytes(b"no model")
    seal(path, make_manifest())

    with pytest.raises(BundleError, match=r"tokenizer\.model is no SentencePiece model"):
        Tokenizer.load(load_bundle(path))
