"""The bundle's tokenizer: text to token ids, token ids to text.

The same rules as the tokenizer that the model was trained with; golden examples pin them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import sentencepiece

from service.bundle import TOKENIZER, Bundle
from service.errors import BundleError

SPACE_MARK = "\u2581"

_MAX_REMEMBERED = 4_096  # characters looked up before; hardly a text has so many different ones


class Tokenizer:
    """Lossless on any text without lone surrogates. Safe to use from any thread.

    Attributes:
        silent_ids: tokens that stand for no text, but for `eos`: special ids, tags, marks, and
            what the vocabulary keeps in reserve.
        knows: whether a character is in the vocabulary; others are spelled byte by byte.
    """

    def __init__(self, model: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.silent_ids = tuple(
            token_id
            for token_id in range(self._processor.vocab_size())
            if self._is_silent(token_id) and token_id != self._processor.eos_id()
        )
        self._space_mark_ids = [
            self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()
        ]
        self.knows = lru_cache(_MAX_REMEMBERED)(self._knows)

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """Load and check against the golden examples.

        Raises:
            BundleError: if a golden example is tokenised in another way.
        """
        path = bundle.path / TOKENIZER
        try:
            tokenizer = cls(path.read_bytes())
        except RuntimeError as error:
            raise BundleError(f"{path} is no SentencePiece model: {error}") from error
        for example in bundle.golden:
            if tuple(tokenizer.encode(example.text)) != example.source_ids[1:-1]:
                raise BundleError(f"{path} does not tokenise the golden example {example.text!r}")
        return tokenizer

    def _is_silent(self, token_id: int) -> bool:
        processor = self._processor
        return bool(
            processor.is_control(token_id)
            or processor.is_unknown(token_id)
            or processor.is_unused(token_id)
        )

    def _knows(self, character: str) -> bool:
        # Not looked up in the vocabulary: a model may take large letters for small ones first.
        return not any(map(self._processor.is_byte, self._processor.encode(character)))

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, no special ids among them."""
        # SentencePiece writes a space as U+2581; that character itself goes in as bytes.
        first, *rest = f" {text}".split(SPACE_MARK)
        token_ids: list[int] = self._processor.encode(first)
        for part in rest:
            token_ids += self._space_mark_ids + self._processor.encode(part)
        return token_ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of `token_ids`; special ids are silent, broken UTF-8 becomes U+FFFD."""
        text: str = self._processor.decode(list(token_ids))
        return text.removeprefix(" ")

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """Each token by itself, with its spaces; a byte of a character is written "<0xE2>"."""
        pieces: list[str] = self._processor.id_to_piece(list(token_ids))
        return [piece.replace(SPACE_MARK, " ") for piece in pieces]
