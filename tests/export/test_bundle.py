"""A bundle is written whole or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from export.bundle import MANIFEST, file_entries, write_bundle
from export.errors import ExportError
from export.manifest import Manifest

FILES = {"a.onnx": b"graph", "golden.json": b"[]"}


def make_manifest(**changes: Any) -> Manifest:
    texts = ("name", "version", "created", "attribution", "licence")
    empty: dict[str, Any] = dict.fromkeys(texts, "")
    empty |= {name: [] for name in ("languages", "directions")}
    for name in ("special_ids", "decoding", "model", "training", "graphs", "signature", "parity"):
        empty[name] = {}
    return Manifest(**{**empty, "scores": {}, "files": file_entries(FILES), **changes})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_holds_the_files_and_the_manifest(tmp_path: Path) -> None:
    write_bundle(tmp_path / "new" / "bundle", make_manifest(name="tiny"), FILES)

    found = content(tmp_path / "new" / "bundle")
    manifest = json.loads(found.pop(MANIFEST))
    assert found == FILES
    assert manifest == make_manifest(name="tiny").to_dict()
    assert list(manifest)[:2] == ["format", "format_version"]


def test_an_entry_has_checksum_and_size() -> None:
    entries = file_entries(FILES)

    assert entries["a.onnx"] == {"sha256": hashlib.sha256(b"graph").hexdigest(), "bytes": 5}
    assert list(entries) == sorted(FILES)


def test_an_older_bundle_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    write_bundle(path, make_manifest(), {**FILES, "old.onnx": b"old"})

    write_bundle(path, make_manifest(version="2"), FILES)

    assert set(content(path)) == {*FILES, MANIFEST}
    assert json.loads((path / MANIFEST).read_text())["version"] == "2"


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ExportError, match="is no bundle; it is left alone"):
        write_bundle(tmp_path, make_manifest(), FILES)

    assert content(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_file_in_the_place_of_the_bundle_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_text("years of work")

    with pytest.raises(ExportError, match="is no bundle"):
        write_bundle(path, make_manifest(), FILES)

    assert path.read_text() == "years of work"


def test_a_failure_while_writing_leaves_the_older_bundle_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    write_bundle(path, make_manifest(), FILES)
    before = content(path)

    with pytest.raises(TypeError):
        write_bundle(path, make_manifest(name={"no", "JSON"}), {"a.onnx": b"new"})

    assert content(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_of_the_last_move_brings_the_older_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    write_bundle(path, make_manifest(), FILES)
    before, rename = content(path), Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(OSError, match="disk on fire"):
        write_bundle(path, make_manifest(), FILES)

    assert content(path) == before
    assert list(tmp_path.iterdir()) == [path]
