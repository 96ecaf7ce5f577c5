"""The subword tokenizer: one SentencePiece model for both languages, lossless on any text.

Source: Kudo and Richardson 2018 (SentencePiece); Kudo 2018 (unigram model).
"""

import io
import math
import sys
import tempfile
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import sentencepiece

from model.formality import FORMALITIES, LANGUAGES, Formality

# SentencePiece writes a space as U+2581, so that character itself goes in as its three bytes.
SPACE_MARK = "\u2581"

TRAINING: dict[str, Any] = {
    "model_type": "unigram",
    # Text is left as it is: nothing is normalised, no white space squeezed.
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    # What the vocabulary has no character for is spelt in bytes; digits stand alone.
    "byte_fallback": True,
    "character_coverage": 0.9998,
    "split_digits": True,
    "pad_id": 0,
    "unk_id": 1,
    "bos_id": 2,
    "eos_id": 3,
    "max_sentence_length": 4096,
    "num_threads": 2,
    "minloglevel": 1,
}
"""SentencePiece's options, for every vocabulary."""

BEST = 16  # segmentations that `Tokenizer.sample` chooses from
SHARPNESS = 0.2  # power of their probabilities: 0 draws all alike, 1 as the model finds them


def language_tag(code: str) -> str:
    """The control token, first in a source, that asks for the target language `code`."""
    return f"<2{code}>"


def formality_mark(formality: Formality) -> str:
    """The control token, second in a source, that asks for a form of address."""
    return f"<{formality}>"


def control_symbols(languages: Sequence[str]) -> list[str]:
    """All control tokens of a vocabulary for `languages`, but the four that every one has."""
    marks = [formality_mark(each) for each in FORMALITIES if LANGUAGES & set(languages)]
    return [language_tag(code) for code in languages] + marks


def lowercase_rules() -> str:
    """SentencePiece's normalisation rules, one "from TAB to" a line, that only drop case."""
    letters = map(chr, range(sys.maxunicode + 1))
    return "".join(
        f"{ord(letter):X}\t{' '.join(f'{ord(part):X}' for part in letter.lower())}\n"
        for letter in letters
        if letter != letter.lower()
    )


def train_tokenizer(
    sentences: Iterable[str],
    vocab_size: int,
    languages: Sequence[str],
    *,
    lowercase: bool = False,
    seed: int = 1,
) -> "Tokenizer":
    """Learn a joint vocabulary.

    Text is left as it is: no Unicode normalisation, no squeezing of white space. Byte
    fallback spells characters outside the vocabulary, digits stand alone.

    Args:
        sentences: training text, all languages mixed, shuffled by the caller.
        vocab_size: size of the vocabulary, control and byte tokens included.
        languages: codes of the languages, each of which gets a tag.
        lowercase: text loses its case on the way in, and so does all that the model writes.
    """
    sentencepiece.set_random_generator_seed(seed)
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="ascii") as rules:
        rules.write(lowercase_rules())
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=vocab_size,
            normalization_rule_tsv=rules.name if lowercase else "",
            control_symbols=control_symbols(languages),
            **TRAINING,
        )
    return Tokenizer(model.getvalue())


class Tokenizer:
    """Text to token ids and back.

    Attributes:
        model: the serialised SentencePiece model.
        vocab_size: number of token ids.
        pad_id, unk_id, bos_id, eos_id: the special ids.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._space_mark_ids = [
            self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()
        ]
        self.vocab_size: int = self._processor.get_piece_size()
        self.pad_id: int = self._processor.pad_id()
        self.unk_id: int = self._processor.unk_id()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()

    def tag_id(self, language: str) -> int:
        """The id of the tag that asks for `language`.

        Raises:
            ValueError: if the vocabulary has no such tag.
        """
        tag_id: int = self._processor.piece_to_id(language_tag(language))
        if tag_id == self.unk_id:
            raise ValueError(f"the tokenizer has no tag for the language {language!r}")
        return tag_id

    @property
    def knows_formality(self) -> bool:
        """Whether the vocabulary has marks for forms of address."""
        mark_id: int = self._processor.piece_to_id(formality_mark(FORMALITIES[0]))
        return mark_id != self.unk_id

    def formality_id(self, formality: Formality) -> int:
        """The id of the mark that asks for a form of address.

        Raises:
            ValueError: if the vocabulary has no such mark.
        """
        mark_id: int = self._processor.piece_to_id(formality_mark(formality))
        if mark_id == self.unk_id:
            raise ValueError(f"the tokenizer has no mark for the formality {formality!r}")
        return mark_id

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, no special ids among them."""
        # One leading space lets a word be the same token at the start and in the middle.
        first, *rest = f" {text}".split(SPACE_MARK)
        token_ids: list[int] = self._processor.encode(first)
        for part in rest:
            token_ids += self._space_mark_ids + self._processor.encode(part)
        return token_ids

    def sample(self, text: str, random: Random) -> list[int]:
        """Token ids of one of the likelier ways to cut `text` up, drawn by `random`.

        Source: Kudo 2018 ("Subword Regularization"), section 3.3, with the l best segmentations.
        """
        found = self._processor.nbest_encode(f" {text}", nbest_size=BEST, return_type="proto")
        best = found.nbests[0].score
        weights = [math.exp(SHARPNESS * (each.score - best)) for each in found.nbests]
        [drawn] = random.choices(found.nbests, weights)
        return [piece.id for piece in drawn.pieces]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of `token_ids`; special ids are silent, broken UTF-8 becomes U+FFFD."""
        text: str = self._processor.decode(list(token_ids))
        return text.removeprefix(" ")
