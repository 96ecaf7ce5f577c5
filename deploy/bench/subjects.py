"""The models that are timed, written once in the form that each peer reads."""

import hashlib
import io
import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from deploy.bench.convert import convert
from deploy.bench.peers import Files
from deploy.bench.plain_graphs import write_plain_graphs
from deploy.bench.random_models import SHAPES, random_checkpoint
from deploy.bench.sentences import Sentence
from export.__main__ import main as export_main
from model import checkpoint
from model.checkpoint import Checkpoint

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "model" / "checkpoints" / "default.safetensors"
WRITTEN = "written"  # a mark: everything is there, made of what the fingerprint in it tells
# What the forms of a model are made by; a change there makes them anew.
MAKERS = (
    "model/*.py",
    "export/*.py",
    "deploy/bench/convert.py",
    "deploy/bench/plain_graphs.py",
    "deploy/bench/random_models.py",
)
EVERY_NTH = 6  # sentence is shown to a random model, and to the export's gate


def prepare(name: str, folder: Path, sentences: Sequence[Sentence]) -> Files:
    """Write the model `name` below `folder`, unless the same is there.

    The export compares its graphs with PyTorch before it writes them, random weights or not.

    Raises:
        RuntimeError: if the export refuses.
    """
    files = Files(folder=folder / name)
    mark, fingerprint = files.folder / WRITTEN, _fingerprint(sentences)
    if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
        return files
    shutil.rmtree(files.folder, ignore_errors=True)
    files.folder.mkdir(parents=True)
    loaded = _checkpoint(name, sentences[::EVERY_NTH])
    checkpoint.save(files.checkpoint, loaded)
    convert(loaded, files.ctranslate2)
    with _quiet():
        write_plain_graphs(loaded.build(), files.plain_graphs)
    _export(files, sentences[::EVERY_NTH])
    mark.write_text(fingerprint, encoding="ascii")
    return files


def _fingerprint(sentences: Sequence[Sentence]) -> str:
    digest = hashlib.sha256(repr(sentences).encode())
    makers = sorted(path for pattern in MAKERS for path in ROOT.glob(pattern))
    for path in (SHIPPED, *makers):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the tracer, which names each number it takes as constant, and the quantiser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _checkpoint(name: str, sentences: Sequence[Sentence]) -> Checkpoint:
    shipped = checkpoint.load(SHIPPED)
    if name == "default":
        return shipped
    sources = [sentence.ids(shipped.tokenizer) for sentence in sentences]
    return random_checkpoint(name, SHAPES[name].config(), shipped, sources)


def _export(files: Files, sentences: Sequence[Sentence]) -> None:
    texts: dict[str, list[str]] = {}
    for sentence in sentences:
        texts.setdefault(sentence.source, []).append(sentence.text)
    checked = files.folder / "sentences.json"
    checked.write_text(json.dumps(texts), encoding="utf-8")
    arguments = [str(files.checkpoint), str(files.bundle), "--sentences", str(checked)]
    with redirect_stdout(io.StringIO()) as said:
        status = export_main(arguments)
    if status != 0:
        raise RuntimeError(f"the export of {files.checkpoint} failed: {said.getvalue()}")
