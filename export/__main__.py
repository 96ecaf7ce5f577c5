"""Export a checkpoint: `dragoman export CHECKPOINT BUNDLE`."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onnx import ModelProto
from rich.console import Console

from export.bundle import file_entries, write_bundle
from export.calibrate import calibrate
from export.decoder_graph import decoder_graph
from export.encoder_graph import encoder_graph
from export.errors import ExportError
from export.fold import fold
from export.half import halve
from export.manifest import LANGUAGE_NAMES, Manifest
from export.onnx_model import OnnxModel
from export.parity import (
    Array,
    Parity,
    Sample,
    make_sample,
    margin,
    measure,
    onnx_logits,
    require_parity,
)
from export.quantise import quantise
from export.sentences import load_sentences
from export.signature import decoder_signature, encoder_signature
from export.weights import Weights
from model import checkpoint
from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.formality import FORMALITIES
from model.formality import LANGUAGES as FORMALITY_LANGUAGES
from model.tokenizer import Tokenizer

PRECISIONS = ("int8", "float32", "float16")
DEFAULT_PRECISIONS = ("int8", "float32")
MAX_SOURCE_TOKENS = 256
MAX_TARGET_RATIO = 2.0
DECODING: dict[str, float | str] = {
    "length_penalty": 1.0,
    "length_penalty_formula": "gnmt",
    "max_source_tokens": MAX_SOURCE_TOKENS,
    "max_target_ratio": MAX_TARGET_RATIO,
}
GOLDEN_PER_DIRECTION = 3

Graphs = tuple[ModelProto, ModelProto]


def build_graphs(loaded: Checkpoint, samples: Sequence[Sample]) -> dict[str, Graphs]:
    """Encoder and decoder graph of each precision; int8 is calibrated on `samples`."""
    folded = fold(loaded)
    encoder, decoder = encoder_graph(folded), decoder_graph(folded)
    in_encoder, in_decoder = calibrate(loaded.model, encoder, decoder, samples)
    return {
        "int8": (quantise(encoder, in_encoder), quantise(decoder, in_decoder)),
        "float32": (encoder, decoder),
        "float16": (
            halve(encoder, encoder_signature(loaded.model, "float16")),
            halve(decoder_graph(folded, for_gpu=True), decoder_signature(loaded.model, "float16")),
        ),
    }


def make_samples(loaded: Checkpoint, sentences: Mapping[str, Sequence[str]]) -> list[Sample]:
    """PyTorch's translations of the check sentences, in every direction."""
    model = loaded.build()
    return [
        make_sample(model, loaded.tokenizer, text, source, target)
        for source, target in loaded.directions
        for text in sentences[source]
    ]


def choose_golden(samples: Sequence[Sample], found: Sequence[Sequence[Array]]) -> list[Any]:
    """The examples of each direction that all precisions translate alike with most room to spare.

    Args:
        found: scores of each precision, for each sample.
    """
    best: dict[tuple[str, str], list[tuple[float, Sample]]] = {}
    for index, sample in enumerate(samples):
        chosen = [logits[index] for logits in found]
        if all((one.argmax(axis=1) == sample.target_ids).all() for one in chosen):
            lead = min(margin(one) for one in chosen)
            best.setdefault((sample.source, sample.target), []).append((lead, sample))
    golden = []
    for ranked in best.values():
        ranked.sort(key=lambda entry: -entry[0])
        golden += [sample for _, sample in ranked[:GOLDEN_PER_DIRECTION]]
    keys = ("source", "target", "text", "source_ids", "target_ids")
    return [{key: getattr(sample, key) for key in keys} for sample in golden]


def make_manifest(
    loaded: Checkpoint,
    arguments: argparse.Namespace,
    parity: Mapping[str, Parity],
    files: Mapping[str, bytes],
) -> Manifest:
    """The table of contents of what is about to be written."""
    tokenizer, config = loaded.tokenizer, loaded.model
    attribution = arguments.attribution.read_text(encoding="utf-8") if arguments.attribution else ""
    return Manifest(
        name=arguments.name or loaded.history["recipe"],
        version=arguments.version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        languages=[
            {"code": code, "name": LANGUAGE_NAMES.get(code, code)} for code in loaded.languages
        ],
        directions=[
            describe_direction(tokenizer, source, target) for source, target in loaded.directions
        ],
        special_ids={
            name: getattr(tokenizer, name) for name in ("pad_id", "unk_id", "bos_id", "eos_id")
        },
        decoding=DECODING,
        model=config.to_dict(),
        training=dict(loaded.history),
        graphs={precision: graph_names(precision) for precision in parity},
        signature={
            **describe_ports(config, "float32"),
            **({"float16": describe_ports(config, "float16")} if "float16" in parity else {}),
        },
        parity={precision: asdict(figures) for precision, figures in parity.items()},
        scores={},
        attribution=attribution,
        licence=arguments.licence,
        files=file_entries(files),
    )


def describe_ports(config: ModelConfig, precision: str) -> dict[str, Any]:
    """The signatures of both graphs."""
    return {
        "encoder": asdict(encoder_signature(config, precision)),
        "decoder": asdict(decoder_signature(config, precision)),
    }


def describe_direction(tokenizer: Tokenizer, source: str, target: str) -> dict[str, Any]:
    """What the service must know to ask for a direction."""
    return {
        "source": source,
        "target": target,
        "tag_id": tokenizer.tag_id(target),
        "formality_ids": formality_ids(tokenizer, target),
    }


def formality_ids(tokenizer: Tokenizer, target: str) -> dict[str, int]:
    """The marks that ask for a form of address in `target`, as far as the vocabulary has them."""
    if target not in FORMALITY_LANGUAGES or not tokenizer.knows_formality:
        return {}
    return {formality: tokenizer.formality_id(formality) for formality in FORMALITIES}


def graph_names(precision: str) -> dict[str, str]:
    """File names of the graphs of a precision, and of the weights that they share."""
    names = {part: f"{part}.{precision}.onnx" for part in ("encoder", "decoder")}
    return {**names, "weights": f"weights.{precision}.onnx_data"}


def graph_files(graphs: Graphs, precision: str) -> dict[str, bytes]:
    """Both graphs of a precision as files, and the weights that they share."""
    names = graph_names(precision)
    weights = Weights(names["weights"])
    for graph in graphs:
        weights.take_from(graph)
    encoder, decoder = (graph.SerializeToString() for graph in graphs)
    return {
        names["encoder"]: encoder,
        names["decoder"]: decoder,
        names["weights"]: bytes(weights.content),
    }


def export(arguments: argparse.Namespace, console: Console) -> None:
    """All steps in order; nothing is written unless the gate is passed."""
    loaded = checkpoint.load(arguments.checkpoint)
    sentences = load_sentences(arguments.sentences, loaded.languages)
    samples = make_samples(loaded, sentences)
    files: dict[str, bytes] = {"tokenizer.model": loaded.tokenizer.model}
    parity: dict[str, Parity] = {}
    found: list[list[Array]] = []
    for precision, graphs in build_graphs(loaded, samples).items():
        onnx_model = OnnxModel(loaded.model, *graphs, precision)
        logits = [onnx_logits(onnx_model, sample) for sample in samples]
        figures = measure(samples, logits)
        console.print(
            f"{precision}: logits differ by up to {figures.max_abs_difference:.2e}, "
            f"{figures.token_agreement:.2%} of {figures.tokens} tokens and "
            f"{figures.identical_translations:.0%} of {figures.sentences} sentences agree"
        )
        require_parity(precision, figures)
        parity[precision] = figures
        found.append(logits)
        if precision in arguments.precision:
            files |= graph_files(graphs, precision)
    golden = choose_golden(samples, found)
    files["golden.json"] = json.dumps(golden, indent=1, ensure_ascii=False).encode()
    shipped = {precision: parity[precision] for precision in arguments.precision}
    manifest = make_manifest(loaded, arguments, shipped, files)
    write_bundle(arguments.bundle, manifest, files)
    for name, content in sorted(files.items()):
        console.print(f"  {name}  {len(content) / 1e6:.2f} MB")
    console.print(f"wrote {arguments.bundle}: {sum(map(len, files.values())) / 1e6:.2f} MB")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dragoman export", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path, help="folder to write; an older bundle is replaced")
    parser.add_argument(
        *("--precision", "-p"),
        nargs="+",
        choices=PRECISIONS,
        default=list(DEFAULT_PRECISIONS),
        help="graphs to put into the bundle [int8 float32]; all are checked; float16 is for GPUs",
    )
    parser.add_argument("--name", help="of the model [the recipe's]")
    parser.add_argument("--version", default="1")
    parser.add_argument(
        "--sentences",
        type=Path,
        help="JSON {language: [sentence, ...]} to calibrate int8 and check on",
    )
    parser.add_argument("--attribution", type=Path, help="text about the training data's sources")
    parser.add_argument("--licence", default="not stated", help="of the weights")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Export; exit code 1 and a message if the gate refuses."""
    arguments = parse(argv)
    try:
        export(arguments, Console(highlight=False))
    except (ExportError, ValueError, OSError) as error:
        print(f"dragoman export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
