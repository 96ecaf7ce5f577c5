"""What is translated: sentences of mixed length, both directions, as token ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # who only wants the texts needs no SentencePiece
    from model.tokenizer import Tokenizer

BUNDLED = Path(__file__).parent / "sentences.tsv"  # written for this purpose


class Sentence(NamedTuple):
    """A line of the file: codes of its language and of the one wanted, and the text."""

    source: str
    target: str
    text: str

    def ids(self, tokenizer: "Tokenizer") -> list[int]:
        """Source tokens: the tag of the target language, the text, `eos`."""
        return [
            tokenizer.tag_id(self.target),
            *tokenizer.encode(self.text),
            tokenizer.eos_id,
        ]


def load_sentences(path: Path) -> list[Sentence]:
    """Read "source TAB target TAB text" lines.

    Raises:
        ValueError: naming the line that has other fields.
    """
    sentences = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) != 3:
            raise ValueError(f"{path}, line {number}: {len(fields)} fields; it must have 3")
        sentences.append(Sentence(*fields))
    return sentences


def spread(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """`count` of them, evenly over the list; all if they are fewer."""
    if count >= len(sentences):
        return list(sentences)
    return [sentences[place * len(sentences) // count] for place in range(count)]
