"""The manifest: the versioned table of contents of a bundle, writer's side."""

from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = "dragoman-bundle"
FORMAT_VERSION = 3

LANGUAGE_NAMES = {
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "uk": "Ukrainian",
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle is and holds, as plain data.

    Attributes:
        name, version: of the model.
        created: date and time, UTC, ISO 8601.
        languages: code and English name of each.
        directions: source, target, tag_id, and formality_ids: a token id for each form of
            address that can be asked for, often none.
        special_ids: pad_id, unk_id, bos_id, eos_id.
        decoding: length_penalty and its formula ("plain" or "gnmt"), max_source_tokens,
            max_target_ratio.
        model: the `ModelConfig`; training: recipe, updates, tokens, hours.
        graphs: precision -> {"encoder": file, "decoder": file, "weights": file}.
        signature: names, dtypes and axes of every graph's inputs and outputs; those of float16
            graphs, which differ, under that name.
        parity: precision -> what the gate measured.
        scores: test set and direction -> BLEU, chrF and signatures, by precision.
        attribution, licence: of the data and of the weights.
        files: name -> sha256 and bytes.
    """

    name: str
    version: str
    created: str
    languages: list[dict[str, str]]
    directions: list[dict[str, Any]]
    special_ids: dict[str, int]
    decoding: dict[str, float | str]
    model: dict[str, Any]
    training: dict[str, Any]
    graphs: dict[str, dict[str, str]]
    signature: dict[str, Any]
    parity: dict[str, Any]
    scores: dict[str, Any]
    attribution: str
    licence: str
    files: dict[str, dict[str, Any]]
    format: str = field(default=FORMAT)
    format_version: int = field(default=FORMAT_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the format first."""
        values = asdict(self)
        first = {key: values.pop(key) for key in ("format", "format_version")}
        return first | values
