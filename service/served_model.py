"""The facts of a bundle that requests need, free of files and graphs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.engine.options import LengthPenaltyFormula
from service.errors import UnsupportedFormality, UnsupportedLanguage, UnsupportedPair

DEFAULT = "default"
"""The form of address that a model chooses by itself."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What is served, and which directions it has.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        sha256: of its manifest, which holds the checksum of every file.
        precision: of the graphs that run, "int8", "float32" or "float16".
        provider: what runs them, in onnxruntime's words.
        num_workers: threads that decode.
        languages: code -> English name, in the order of the manifest.
        tag_ids: (source, target) -> token id of the target-language tag.
        formality_ids: (source, target) -> form of address -> token id that asks for it.
        eos_id: ends every source.
        length_penalty: default for p in score / length ** p.
        length_penalty_formula: default for what stands for length in it.
        max_source_tokens: limit for one segment, tag and `eos` included.
        max_target_tokens: limit for one hypothesis, `eos` included.
        max_target_ratio: default for the most target tokens per source token.
        silent_ids: tokens that stand for no text, but for `eos`; they are never chosen.
        scores: test set -> what the export measured, as in the manifest.
    """

    name: str
    version: str
    sha256: str
    precision: str
    provider: str
    languages: Mapping[str, str]
    tag_ids: Mapping[tuple[str, str], int]
    eos_id: int
    length_penalty: float
    max_source_tokens: int
    max_target_tokens: int
    max_target_ratio: float
    num_workers: int = 1
    length_penalty_formula: LengthPenaltyFormula = "plain"
    silent_ids: tuple[int, ...] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    formality_ids: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)

    def check_language(self, code: str) -> None:
        """Raise UnsupportedLanguage if the bundle does not know `code`."""
        if code not in self.languages:
            raise UnsupportedLanguage(code, tuple(self.languages))

    def tag_id(self, source: str, target: str) -> int:
        """Find the tag that asks for `target`.

        Raises:
            UnsupportedPair: if the bundle has no direction from `source` to `target`.
        """
        if (source, target) not in self.tag_ids:
            raise UnsupportedPair(source, target)
        return self.tag_ids[source, target]

    def control_ids(self, source: str, target: str, formality: str) -> tuple[int, ...]:
        """What stands before a segment: the tag, and a mark if a form of address is asked for.

        Raises:
            UnsupportedPair: as `tag_id`.
            UnsupportedFormality: if the direction offers no such choice.
        """
        tag_id = self.tag_id(source, target)
        if formality == DEFAULT:
            return (tag_id,)
        marks = self.formality_ids.get((source, target), {})
        if formality not in marks:
            raise UnsupportedFormality(formality, target, (DEFAULT, *marks))
        return (tag_id, marks[formality])

    def targets_of(self, source: str) -> list[str]:
        """List what `source` can be translated to; itself included, which changes nothing."""
        return [code for code in self.languages if code == source or (source, code) in self.tag_ids]

    def formalities_of(self, target: str) -> list[str]:
        """List the forms of address that can be asked for in `target`, if any."""
        choices = [marks for (_, to), marks in self.formality_ids.items() if to == target]
        return sorted({formality for marks in choices for formality in marks})

    def target_limit(self, num_source_tokens: int, ratio: float | None = None) -> int:
        """Say how many tokens a translation of so many source tokens may have.

        Args:
            ratio: in place of `max_target_ratio`.
        """
        ratio = self.max_target_ratio if ratio is None else ratio
        return min(self.max_target_tokens, 16 + math.ceil(ratio * num_source_tokens))
