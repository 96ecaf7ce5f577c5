"""A bundle is taken only if it is one, is whole, and has our format."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.bundle import FORMAT_VERSION, load_bundle
from service.errors import BundleError
from tests.service.written_bundle import GRAPH, WEIGHTS, make_manifest, seal, write

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle")


def change(path: Path, edit: Change) -> None:
    """Edit the manifest and nothing else."""
    manifest = json.loads((path / "manifest.json").read_text())
    edit(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def refuse(path: Path, reason: str, name: str = "manifest.json") -> None:
    with pytest.raises(BundleError, match=re.escape(str(path / name)) + ".*" + reason):
        load_bundle(path)


def test_a_whole_bundle_is_read(path: Path) -> None:
    bundle = load_bundle(path)

    assert bundle.path == path
    assert bundle.manifest.name == "written"
    assert bundle.manifest.model.head_dim == 4
    assert bundle.manifest.graphs["int8"].encoder == GRAPH
    assert bundle.golden[0].source_ids == (5, 9, 3)


def test_the_formula_of_the_length_penalty_is_the_plain_one_unless_said(path: Path) -> None:
    silent = load_bundle(path)
    change(path, lambda manifest: manifest["decoding"].update(length_penalty_formula="gnmt"))

    assert silent.manifest.decoding.length_penalty_formula == "plain"
    assert load_bundle(path).manifest.decoding.length_penalty_formula == "gnmt"


def test_what_the_service_does_not_read_may_be_there(path: Path) -> None:
    change(path, lambda manifest: manifest.update(poem="roses are red"))

    assert load_bundle(path).manifest.name == "written"


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "empty"
    if exists:
        folder.mkdir()

    with pytest.raises(BundleError, match=r"empty is no bundle: it has no manifest\.json"):
        load_bundle(folder)


def test_a_file_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BundleError, match="file"):
        load_bundle(tmp_path / "file")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_a_manifest_that_is_no_json_is_refused(path: Path, content: bytes) -> None:
    (path / "manifest.json").write_bytes(content)

    refuse(path, "cannot be read")


@pytest.mark.parametrize("content", ["[]", "7", "{}", '{"format": "onnx-community"}'])
def test_the_manifest_of_something_else_is_refused(path: Path, content: str) -> None:
    (path / "manifest.json").write_text(content)

    refuse(path, "is not the manifest of a Dragoman bundle")


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, None, "1"])
def test_another_format_version_is_refused_with_both_numbers(path: Path, version: object) -> None:
    change(path, lambda manifest: manifest.update(format_version=version))

    refuse(path, f"has format version {version}; this reads {FORMAT_VERSION}")


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda manifest: manifest.pop("special_ids"), "special_ids: Field required"),
        (lambda manifest: manifest["model"].update(d_model="wide"), "model.d_model: .*integer"),
        (lambda manifest: manifest["directions"][0].pop("tag_id"), "directions.0.tag_id"),
        (lambda manifest: manifest.update(directions=[]), "directions: .*at least 1"),
        (lambda manifest: manifest["files"][GRAPH].pop("sha256"), "files.*sha256"),
        (
            lambda manifest: manifest["decoding"].update(length_penalty_formula="cubic"),
            "decoding.length_penalty_formula: .*'plain' or 'gnmt'",
        ),
    ],
)
def test_a_wrong_field_is_refused_with_its_place(path: Path, edit: Change, place: str) -> None:
    change(path, edit)

    refuse(path, place)


def test_a_missing_file_is_refused(path: Path) -> None:
    (path / GRAPH).unlink()

    refuse(path, "is missing", GRAPH)


def test_a_truncated_file_is_refused_with_both_sizes(path: Path) -> None:
    (path / GRAPH).write_bytes(b"grap")

    refuse(path, "has 4 bytes; the manifest says 5", GRAPH)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS, "golden.json", "tokenizer.model"])
def test_one_flipped_bit_is_noticed(path: Path, name: str) -> None:
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)

    refuse(path, "is damaged: its sha256", name)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS, "golden.json", "tokenizer.model"])
def test_a_file_that_is_used_needs_a_checksum(path: Path, name: str) -> None:
    change(path, lambda manifest: manifest["files"].pop(name))

    refuse(path, f"has no checksum for {name}")


def test_weights_may_be_inside_of_the_graphs(path: Path) -> None:
    change(path, lambda manifest: manifest["graphs"]["int8"].pop("weights"))

    assert load_bundle(path).manifest.graphs["int8"].file_names == (GRAPH, GRAPH)


@pytest.mark.parametrize(
    "golden", ["{", "5", "{}", '"text"', "[5]", '[{"source": "en"}]', '[{"source_ids": "x"}]']
)
def test_golden_examples_that_are_none_are_refused(path: Path, golden: str) -> None:
    (path / "golden.json").write_text(golden)
    seal(path, make_manifest())

    refuse(path, "holds no golden examples", "golden.json")
