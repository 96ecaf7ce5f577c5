"""`dragoman evaluate`, on a checkpoint and on a bundle."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from model import checkpoint
from model.evaluate import main
from model.scores import score
from model.validate import translate
from tests.bundles import tiny_checkpoint, write_bundle, write_sentences

SOURCES, REFERENCES = write_sentences("de", 4), write_sentences("en", 4)
LANGUAGES = ["--from", "de", "--to", "en"]


def never(
    bundle: Path, precision: str, source: str, target: str, texts: Sequence[str], beam_size: int
) -> list[str]:
    raise AssertionError("a checkpoint needs no bundle")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "source").write_text("\n".join(SOURCES) + "\n", encoding="utf-8")
    (tmp_path / "reference").write_text("\n".join(REFERENCES) + "\n", encoding="utf-8")
    return [str(tmp_path / "source"), str(tmp_path / "reference")]


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny_checkpoint())
    return str(path)


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_checkpoint_is_scored_on_its_own_translations(
    beam_size: int, saved: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [saved, *files, *LANGUAGES, "--beam-size", str(beam_size), "--json"]
    assert main(arguments, never) == 0

    loaded = tiny_checkpoint()
    expected = score(
        translate(loaded.build(), loaded.tokenizer, "en", SOURCES, beam_size=beam_size), REFERENCES
    )
    printed = json.loads(capsys.readouterr().out)
    assert (printed["bleu"], printed["chrf"]) == (expected.bleu, expected.chrf)
    assert printed["bleu_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|")
    assert printed["sentences"] == 4


def test_a_bundle_is_translated_by_whoever_knows_bundles_and_the_scores_are_recorded(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "bundle")

    def echo(
        path: Path, precision: str, source: str, target: str, texts: Sequence[str], beam_size: int
    ) -> list[str]:
        assert (path, precision, source, target, beam_size) == (bundle, "int8", "de", "en", 3)
        return REFERENCES if list(texts) == SOURCES else []

    options = ["--beam-size", "3", "--precision", "int8", "--record", "mine"]
    assert main([str(bundle), *files, *LANGUAGES, *options], echo) == 0

    assert "BLEU 100.00  chrF 100.00" in capsys.readouterr().out
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["scores"]["mine de-en"]["bleu"] == pytest.approx(100.0)
    assert manifest["scores"]["mine de-en"]["precision"] == "int8"
    assert sorted(path.name for path in bundle.iterdir() if "partial" in path.name) == []


def test_translations_are_written_where_asked(saved: str, files: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = [saved, *files, *LANGUAGES, "--beam-size", "1", "--output", str(output)]
    assert main(arguments, never) == 0

    assert len(output.read_text(encoding="utf-8").splitlines()) == 4


def test_files_of_unequal_length_are_refused_with_both_lengths(
    saved: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference").write_text("one\n", encoding="utf-8")

    assert main([saved, *files, *LANGUAGES], never) == 2

    assert "source has 4 lines" in capsys.readouterr().err


def test_scores_of_a_checkpoint_cannot_be_recorded(
    saved: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([saved, *files, *LANGUAGES, "--beam-size", "1", "--record", "x"], never) == 2

    assert "is no bundle" in capsys.readouterr().err


def test_a_direction_the_model_does_not_have_is_refused(
    saved: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([saved, *files, "--from", "de", "--to", "fr"], never) == 2

    assert "does not translate de to fr" in capsys.readouterr().err
