"""Graphs, tokenizer, golden examples, checksums and manifest, into one folder, atomically."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.manifest import Manifest

MANIFEST = "manifest.json"


def file_entries(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Checksum and size of every file."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(files.items())
    }


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a bundle; nobody ever sees half of it.

    An older bundle at `path` is replaced.

    Raises:
        ExportError: if `path` exists and is no bundle.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExportError(f"{path} exists and is no bundle; it is left alone")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as workspace:
        new, old = Path(workspace) / "new", Path(workspace) / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        write_manifest(new / MANIFEST, manifest.to_dict())
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest in one move."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
