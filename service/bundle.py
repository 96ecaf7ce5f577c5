"""Read a bundle: check that it is one, is whole, and is ours to serve.

A bundle is a folder with graphs, their weights, tokenizer, golden examples and
`manifest.json`, which lists every other file with its checksum.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.engine.options import LengthPenaltyFormula
from service.errors import BundleError

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
GOLDEN = "golden.json"
TOKENIZER = "tokenizer.model"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Language(_Record):
    """A language code and its English name."""

    code: str
    name: str


class Direction(_Record):
    """One direction of translation, the tag that asks for it, and the marks that may follow.

    Attributes:
        formality_ids: form of address -> mark; empty where the model offers no choice.
    """

    source: str
    target: str
    tag_id: int
    formality_ids: dict[str, int] = Field(default_factory=dict)


class SpecialIds(_Record):
    """Token ids with a meaning of their own."""

    pad_id: int
    unk_id: int
    bos_id: int
    eos_id: int


class Decoding(_Record):
    """Defaults and limits of decoding.

    A translation of n source tokens may have 16 + max_target_ratio * n tokens.
    `max_source_tokens` counts tag and eos. Bundles of before there were two formulas say nothing of
    it and mean the plain one.
    """

    length_penalty: float
    length_penalty_formula: LengthPenaltyFormula = "plain"
    max_source_tokens: int
    max_target_ratio: float


class Sizes(_Record):
    """What the engine must know of the model's shape."""

    vocab_size: int
    d_model: int
    num_heads: int
    num_decoder_layers: int

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.d_model // self.num_heads

    @property
    def cache_token_bytes(self) -> int:
        """Memory of the keys and values of one token in all layers, as float32."""
        return 2 * self.num_decoder_layers * self.d_model * 4


class Graphs(_Record):
    """File names of the two graphs of one precision, and of the weights beside them, if any are."""

    encoder: str
    decoder: str
    weights: str | None = None

    @property
    def file_names(self) -> tuple[str, ...]:
        """All of them."""
        names = (self.encoder, self.decoder, self.weights)
        return tuple(name for name in names if name is not None)


class FileEntry(_Record):
    """Checksum and size of one file."""

    sha256: str
    bytes: int


class Manifest(_Record):
    """The table of contents, as far as the service reads it.

    Attributes:
        format_version: of this schema; version: of the model.
        graphs: precision -> file names.
        files: every file of the bundle but the manifest.
        scores, parity: what the export measured; model card facts, shown and not used.
    """

    format: Literal["dragoman-bundle"]
    format_version: int
    name: str
    version: str
    created: str
    languages: tuple[Language, ...]
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]
    special_ids: SpecialIds
    decoding: Decoding
    model: Sizes
    graphs: dict[str, Graphs]
    files: dict[str, FileEntry]
    parity: dict[str, Any]
    scores: dict[str, Any]


class GoldenExample(_Record):
    """A sentence whose greedy translation was fixed by the export, with room to spare."""

    source: str
    target: str
    text: str
    source_ids: tuple[int, ...]
    target_ids: tuple[int, ...]


_GOLDEN_EXAMPLES = TypeAdapter(tuple[GoldenExample, ...])


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose files are those of its manifest.

    Attributes:
        golden: examples that tokenizer and engine must reproduce.
    """

    path: Path
    manifest: Manifest
    golden: tuple[GoldenExample, ...]


def load_bundle(path: Path) -> Bundle:
    """Read and verify the bundle in the folder `path`.

    Raises:
        BundleError: naming the file and the reason, if the folder is no bundle, has another
            format version, or a file is missing or differs from its checksum.
    """
    manifest = _read_manifest(path / MANIFEST)
    for name, entry in manifest.files.items():
        _check_file(path / name, entry)
    named = {TOKENIZER, GOLDEN}
    for graphs in manifest.graphs.values():
        named |= set(graphs.file_names)
    for name in sorted(named - set(manifest.files)):
        raise BundleError(f"{path / MANIFEST} has no checksum for {name}")
    try:
        golden = _GOLDEN_EXAMPLES.validate_json((path / GOLDEN).read_bytes())
    except ValueError as error:
        raise BundleError(f"{path / GOLDEN} holds no golden examples: {error}") from error
    return Bundle(path=path, manifest=manifest, golden=golden)


def _read_manifest(path: Path) -> Manifest:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{path.parent} is no bundle: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != "dragoman-bundle":
        raise BundleError(f"{path} is not the manifest of a Dragoman bundle")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(f"{path} has format version {version}; this reads {FORMAT_VERSION}")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path}: {place}: {first['msg']}") from error


def _check_file(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing")
    size = path.stat().st_size
    if size != entry.bytes:
        raise BundleError(f"{path} has {size} bytes; the manifest says {entry.bytes}")
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    if checksum != entry.sha256:
        raise BundleError(f"{path} is damaged: its sha256 is not that of the manifest")
