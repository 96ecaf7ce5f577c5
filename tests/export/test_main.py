"""The command: all steps in order, and nothing written when one refuses."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

import export.__main__ as command
from export.__main__ import PRECISIONS, Graphs, build_graphs, choose_golden, main
from export.parity import Sample
from export.signature import decoder_signature, encoder_signature
from model import checkpoint
from model.checkpoint import Checkpoint
from tests.bundles import LEXICON, tiny_checkpoint, tiny_tokenizer, write_sentence_file


@pytest.fixture
def manifest(tiny_bundle: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((tiny_bundle / "manifest.json").read_text())
    return loaded


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Make the command line of an export to `tmp_path / "out"` that takes about a second."""
    checkpoint.save(tmp_path / "tiny.safetensors", tiny_checkpoint())
    write_sentence_file(tmp_path / "sentences.json", count=5)
    paths = [str(tmp_path / name) for name in ("tiny.safetensors", "out", "sentences.json")]
    return [paths[0], paths[1], "--sentences", paths[2]]


def test_the_manifest_lists_every_other_file_with_its_checksum(
    tiny_bundle: Path, manifest: dict[str, Any]
) -> None:
    found = {
        path.name: {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in tiny_bundle.iterdir()
        if path.name != "manifest.json"
    }

    assert manifest["files"] == found


def test_the_manifest_tells_what_a_service_must_know(manifest: dict[str, Any]) -> None:
    tokenizer = tiny_tokenizer()
    assert manifest["name"] == "tiny"
    assert manifest["languages"] == [
        {"code": "en", "name": "English"},
        {"code": "de", "name": "German"},
    ]
    assert manifest["directions"] == [
        {
            "source": "en",
            "target": "de",
            "tag_id": tokenizer.tag_id("de"),
            "formality_ids": {
                "formal": tokenizer.formality_id("formal"),
                "informal": tokenizer.formality_id("informal"),
            },
        },
        {"source": "de", "target": "en", "tag_id": tokenizer.tag_id("en"), "formality_ids": {}},
    ]
    assert manifest["special_ids"] == {
        "pad_id": tokenizer.pad_id,
        "unk_id": tokenizer.unk_id,
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
    }
    assert manifest["graphs"] == {
        precision: {
            "encoder": f"encoder.{precision}.onnx",
            "decoder": f"decoder.{precision}.onnx",
            "weights": f"weights.{precision}.onnx_data",
        }
        for precision in PRECISIONS
    }
    assert set(manifest["decoding"]) == {
        "length_penalty",
        "length_penalty_formula",
        "max_source_tokens",
        "max_target_ratio",
    }


def test_the_manifest_tells_what_the_model_is_and_how_it_was_made(
    manifest: dict[str, Any],
) -> None:
    made = tiny_checkpoint()
    assert manifest["model"] == made.model.to_dict()
    assert manifest["training"] == made.history
    for precision, parts in (
        ("float32", manifest["signature"]),
        ("float16", manifest["signature"]["float16"]),
    ):
        for part, signature in (
            ("encoder", encoder_signature(made.model, precision)),
            ("decoder", decoder_signature(made.model, precision)),
        ):
            for side in ("inputs", "outputs"):
                found = [(port["name"], port["dtype"]) for port in parts[part][side]]
                assert found == [(port.name, port.dtype) for port in getattr(signature, side)]
    for figures in manifest["parity"].values():
        assert figures["sentences"] == 10
        assert figures["token_agreement"] >= 0.9
    assert set(manifest["parity"]) == set(PRECISIONS)
    assert manifest["licence"]
    assert datetime.fromisoformat(manifest["created"]).tzinfo is not None


def test_golden_examples_cover_every_direction(tiny_bundle: Path) -> None:
    golden = json.loads((tiny_bundle / "golden.json").read_text())

    assert {(example["source"], example["target"]) for example in golden} == {
        ("en", "de"),
        ("de", "en"),
    }
    for example in golden:
        tag_id = tiny_tokenizer().tag_id(example["target"])
        text_ids = tiny_tokenizer().encode(example["text"])
        assert example["source_ids"] == [tag_id, *text_ids, tiny_tokenizer().eos_id]


def make_golden_sample(text: str, target_ids: tuple[int, ...], lead: float) -> Sample:
    logits = np.zeros((len(target_ids), 5), dtype=np.float32)
    logits[np.arange(len(target_ids)), list(target_ids)] = lead
    return Sample(
        text=text,
        source="en",
        target="de",
        source_ids=(5, 9, 3),
        target_ids=target_ids,
        logits=logits,
        bos_id=2,
    )


def test_golden_examples_are_those_that_every_precision_prefers_most_clearly() -> None:
    samples = [make_golden_sample(f"s{lead}", (4, 1, 3), lead) for lead in range(1, 8)]
    float32 = [sample.logits for sample in samples]
    int8 = [logits.copy() for logits in float32]
    int8[6][1] = [9, 0, 0, 0, 0]  # the clearest one is translated otherwise
    int8[5] = int8[5] * np.float32(0.1)  # and the next one has hardly room to spare

    golden = choose_golden(samples, [int8, float32])

    assert [example["text"] for example in golden] == ["s5", "s4", "s3"]
    assert golden[0]["target_ids"] == (4, 1, 3)


def test_only_the_precisions_asked_for_are_shipped_but_all_are_checked(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sources.txt").write_text("self-written")
    attribution = ["--attribution", str(tmp_path / "sources.txt")]

    status = main([*arguments, *attribution, "-p", "int8", "--name", "small", "--version", "7"])

    assert status == 0, capsys.readouterr().err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["graphs"]) == set(manifest["parity"]) == {"int8"}
    assert not list((tmp_path / "out").glob("*float32*"))
    assert "float32: logits differ" in capsys.readouterr().out
    assert (manifest["name"], manifest["version"]) == ("small", "7")
    assert manifest["attribution"] == "self-written"


def damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a decoder with a wrong weight out of the checkpoint."""

    def build_wrong(loaded: Checkpoint, samples: Sequence[Sample]) -> Mapping[str, Graphs]:
        graphs = build_graphs(loaded, samples)
        _, decoder = graphs["float32"]
        [bias] = [one for one in decoder.graph.initializer if one.name == "output.bias"]
        wrong = numpy_helper.to_array(bias) + np.float32(0.01) * np.arange(400, dtype=np.float32)
        bias.CopyFrom(numpy_helper.from_array(wrong, "output.bias"))
        return graphs

    monkeypatch.setattr(command, "build_graphs", build_wrong)


def test_graphs_that_differ_are_refused_and_nothing_is_written(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(monkeypatch)
    before = sorted(tmp_path.iterdir())

    status = main(arguments)

    assert status == 1
    assert "dragoman export: float32 logits differ from PyTorch's" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_refused_export_leaves_the_bundle_that_was_there(
    arguments: list[str], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(monkeypatch)
    before = {path.name: path.read_bytes() for path in tiny_bundle.iterdir()}

    status = main([arguments[0], str(tiny_bundle), *arguments[2:]])

    assert status == 1
    assert {path.name: path.read_bytes() for path in tiny_bundle.iterdir()} == before


@pytest.mark.parametrize("kind", ["missing", "foreign"])
def test_what_is_no_checkpoint_is_refused_with_its_name(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.safetensors"
    if kind == "foreign":
        path.write_bytes(b"not a checkpoint")

    status = main([str(path), str(tmp_path / "out")])

    assert status == 1
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_language_needs_a_file_of_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = replace(tiny_checkpoint(), languages=("en", "xx"), directions=(("en", "xx"),))
    checkpoint.save(tmp_path / "tiny.safetensors", strange)

    status = main([str(tmp_path / "tiny.safetensors"), str(tmp_path / "out")])

    assert status == 1
    assert "no sentences of ['xx']; give --sentences FILE" in capsys.readouterr().err


def test_the_lexicon_of_the_tests_has_the_languages_of_the_checkpoint() -> None:
    assert set(LEXICON) == set(tiny_checkpoint().languages)
