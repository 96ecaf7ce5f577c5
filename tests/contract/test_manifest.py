"""A manifest that export writes says to service what export meant."""

import inspect
import json
from dataclasses import fields
from typing import Any

import onnx
import pytest

import export.bundle
import export.manifest
import service.bundle
from export.__main__ import MAX_SOURCE_TOKENS, MAX_TARGET_RATIO
from export.fold import MAX_POSITIONS
from export.parity import make_sample
from service.bundle import GOLDEN, MANIFEST, TOKENIZER, Bundle
from service.engine.limits import EngineLimits
from service.loading import _describe
from service.served_model import ServedModel
from service.settings import Settings
from tests.bundles import tiny_checkpoint, tiny_tokenizer, write_sentences

LIMITS = EngineLimits(
    num_workers=1,
    max_cache_tokens=8_192,
    max_slots=8,
    max_source_tokens=MAX_SOURCE_TOKENS,
    max_target_tokens=4_096,
    max_queue_tokens=10_000,
    max_beam_size=8,
)


@pytest.fixture
def served(bundle: Bundle) -> ServedModel:
    return _describe(bundle, "int8", "CPUExecutionProvider", LIMITS, silent_ids=())


def test_both_sides_have_the_same_format_and_file_names(bundle: Bundle) -> None:
    assert export.manifest.FORMAT_VERSION == service.bundle.FORMAT_VERSION
    assert export.bundle.MANIFEST == MANIFEST
    assert set(bundle.manifest.files) == {
        GOLDEN,
        TOKENIZER,
        *(name for graphs in bundle.manifest.graphs.values() for name in graphs.file_names),
    }


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_manifest_has_the_checksum_of_all_that_a_graph_reads(bundle: Bundle, part: str) -> None:
    for graphs in bundle.manifest.graphs.values():
        graph = onnx.load(bundle.path / getattr(graphs, part), load_external_data=False)
        read = {
            entry.value
            for tensor in graph.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }

        assert read == {graphs.weights}


def test_every_field_that_service_reads_is_one_that_export_writes() -> None:
    written = {field.name for field in fields(export.manifest.Manifest)}

    assert set(service.bundle.Manifest.model_fields) <= written


def test_what_service_reads_is_what_export_meant(bundle: Bundle) -> None:
    written: dict[str, Any] = json.loads((bundle.path / MANIFEST).read_text())
    checkpoint = tiny_checkpoint()

    manifest = bundle.manifest

    assert manifest.model.head_dim == checkpoint.model.head_dim
    assert manifest.model.vocab_size == tiny_tokenizer().vocab_size
    assert manifest.model.num_decoder_layers == checkpoint.model.num_decoder_layers
    assert manifest.special_ids.bos_id == tiny_tokenizer().bos_id
    assert [(one.source, one.target) for one in manifest.directions] == list(checkpoint.directions)
    assert list(manifest.graphs) == list(written["graphs"])
    assert manifest.decoding.max_source_tokens == MAX_SOURCE_TOKENS


def test_the_target_limit_of_the_gate_is_that_of_the_service(served: ServedModel) -> None:
    assert served.max_target_ratio == MAX_TARGET_RATIO
    model = tiny_checkpoint().build()
    for text in write_sentences("de", 6, seed=9):
        sample = make_sample(model, tiny_tokenizer(), text, "de", "en")
        limit = served.target_limit(len(sample.source_ids))
        assert len(sample.target_ids) <= limit
        if sample.target_ids[-1] != tiny_tokenizer().eos_id:
            assert len(sample.target_ids) == limit  # cut by the gate's limit, which is the same


def test_the_longest_default_translation_has_positions(served: ServedModel) -> None:
    assert served.target_limit(MAX_SOURCE_TOKENS) <= MAX_POSITIONS
    assert MAX_SOURCE_TOKENS <= MAX_POSITIONS
    assert Settings.model_fields["max_target_tokens"].default <= MAX_POSITIONS


def test_the_gate_and_the_service_count_source_tokens_alike() -> None:
    text = "the dog sees the house"
    sample = make_sample(tiny_checkpoint().build(), tiny_tokenizer(), text, "en", "de")

    assert len(sample.source_ids) == len(tiny_tokenizer().encode(text)) + 2  # tag and eos


def test_golden_examples_are_read_with_all_their_fields(bundle: Bundle) -> None:
    written = json.loads((bundle.path / GOLDEN).read_text())

    assert [example.model_dump(mode="json") for example in bundle.golden] == written
    assert len(bundle.golden) > 0


def test_neither_side_has_a_default_for_what_the_manifest_must_say() -> None:
    parameters = inspect.signature(export.manifest.Manifest).parameters.values()
    optional = {one.name for one in parameters if one.default is not inspect.Parameter.empty}

    assert optional == {"format", "format_version"}
    read = service.bundle.Manifest.model_fields
    assert all(field.is_required() for field in read.values())
