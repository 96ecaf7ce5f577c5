"""A bundle written by hand: right in every file, but for graphs that are no graphs."""

import hashlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece

GRAPH = "graph.onnx"
WEIGHTS = "weights.onnx_data"
GOLDEN_TEXT = "the dog sees the house"


@cache
def tokenizer_model() -> bytes:
    """A tokenizer with byte fallback and two tags, made like those of real bundles."""
    text = "the dog sees a small house and the old man never reads his book today"
    words = text.split()
    lines = [" " + " ".join(words[i:] + words[:i]) for i in range(len(words))]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        control_symbols=["<2en>", "<2de>"],
        minloglevel=2,
    )
    return model.getvalue()


def make_manifest() -> dict[str, Any]:
    """The manifest of the bundle, without its list of files."""
    return {
        "format": "dragoman-bundle",
        "format_version": 3,
        "name": "written",
        "version": "1",
        "created": "2024-01-01T00:00:00+00:00",
        "languages": [{"code": "en", "name": "English"}, {"code": "de", "name": "German"}],
        "directions": [{"source": "en", "target": "de", "tag_id": 5}],
        "special_ids": {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3},
        "decoding": {"length_penalty": 1.0, "max_source_tokens": 64, "max_target_ratio": 2.0},
        "model": {"vocab_size": 300, "d_model": 8, "num_heads": 2, "num_decoder_layers": 1},
        "graphs": {"int8": {"encoder": GRAPH, "decoder": GRAPH, "weights": WEIGHTS}},
        "parity": {},
        "scores": {},
    }


def write(path: Path, golden: object = None) -> Path:
    """Write the bundle to the folder `path`."""
    path.mkdir()
    (path / GRAPH).write_bytes(b"graph")
    (path / WEIGHTS).write_bytes(b"weights")
    (path / "tokenizer.model").write_bytes(tokenizer_model())
    example = {
        "source": "en",
        "target": "de",
        "text": GOLDEN_TEXT,
        "source_ids": [5, 9, 3],
        "target_ids": [7, 3],
    }
    (path / "golden.json").write_text(json.dumps([example] if golden is None else golden))
    seal(path, make_manifest())
    return path


def seal(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with the checksums of the files that are there."""
    files = {
        file.name: {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in path.iterdir()
        if file.name != "manifest.json"
    }
    (path / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
