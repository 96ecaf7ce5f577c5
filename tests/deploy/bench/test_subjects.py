"""A model in every peer's form: written once, and translated alike by all of them."""

from pathlib import Path

import pytest

from model import checkpoint
from tests.bundles import LEXICON, tiny_checkpoint, tiny_tokenizer, write_sentences

pytest.importorskip("ctranslate2")

from deploy.bench import subjects
from deploy.bench.peers import MODULES, Setup, open_peer
from deploy.bench.race import race
from deploy.bench.sentences import Sentence

pytestmark = pytest.mark.slow

OTHER = {"en": "de", "de": "en"}
SENTENCES = [
    Sentence(code, OTHER[code], text) for code in LEXICON for text in write_sentences(code, 12)
]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny_checkpoint())
    monkeypatch.setattr(subjects, "SHIPPED", path)
    return path


@pytest.mark.usefixtures("shipped")
def test_all_peers_choose_the_same_tokens(tmp_path: Path) -> None:
    files = subjects.prepare("default", tmp_path / "bench", SENTENCES)
    sources = [sentence.ids(tiny_tokenizer()) for sentence in SENTENCES]
    setup = Setup(precision="float32", num_workers=2, batch_size=4, beam_size=1)
    wanted = open_peer("pytorch", files, setup).translate(sources)

    found = race(list(MODULES), files, setup, sources, wanted, num_laps=1)

    assert {name: result.agreement.same for name, result in found.items()} == dict.fromkeys(
        MODULES, 1.0
    )


def test_what_is_there_is_kept_until_it_would_be_another(tmp_path: Path, shipped: Path) -> None:
    files = subjects.prepare("default", tmp_path / "bench", SENTENCES)
    first = files.checkpoint.stat().st_mtime_ns

    subjects.prepare("default", tmp_path / "bench", SENTENCES)
    assert files.checkpoint.stat().st_mtime_ns == first

    checkpoint.save(shipped, tiny_checkpoint(tie_output=False))
    subjects.prepare("default", tmp_path / "bench", SENTENCES)
    assert files.checkpoint.stat().st_mtime_ns != first
