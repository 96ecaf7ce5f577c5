"""`dragoman evaluate`, on a checkpoint and on a bundle."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from model import checkpoint
from model.check_cases import load_cases
from model.evaluate import main
from model.scores import score
from model.validate import translate
from tests.bundles import tiny_checkpoint, write_bundle, write_sentences

SOURCES, REFERENCES = write_sentences("de", 4), write_sentences("en", 4)
LONG_CASES = [case for case in load_cases() if case.long and case.source == "en"]
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


def write_manifest(folder: Path, *directions: str) -> str:
    """All of a bundle that is read here: whoever knows bundles reads the rest."""
    entries = [dict(zip(("source", "target"), one.split("-"), strict=True)) for one in directions]
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"directions": entries}), encoding="utf-8")
    return str(folder)


def copy(
    bundle: Path, precision: str, source: str, target: str, texts: Sequence[str], beam_size: int
) -> list[str]:
    """A model that translates nothing, except for one number, which it changes."""
    return [text.replace("714", "7144") for text in texts]


def test_checks_of_a_bundle_list_every_failing_case_of_every_direction_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_manifest(tmp_path / "bundle", "en-de", "de-en")

    assert main([bundle, "--checks"], copy) == 0

    printed = capsys.readouterr().out
    failing = """\
en-de  Flight 714 departs from gate 32.
    -> Flight 7144 departs from gate 32.
    numbers: 714 is missing; 7144 is not in the source
de-en  Flug 714 startet von Flugsteig 32.
    -> Flug 7144 startet von Flugsteig 32.
    numbers: 714 is missing; 7144 is not in the source
"""
    assert printed.startswith(failing)
    assert [line.split()[-2:] for line in printed.splitlines() if " numbers " in line] == [
        ["23/24", "23/24"]
    ]
    assert "skipped" not in printed


def test_checks_print_one_json_object_with_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_manifest(tmp_path / "bundle", "en-de", "de-en")

    assert main([bundle, "--checks", *LANGUAGES, "--json"], copy) == 0

    printed = json.loads(capsys.readouterr().out)
    assert list(printed["checks"]) == ["de-en"]
    assert printed["checks"]["de-en"]["numbers"] == {
        "passed": 23,
        "total": 24,
        "skipped": 0,
        "failing": [
            {
                "source": "Flug 714 startet von Flugsteig 32.",
                "translation": "Flug 7144 startet von Flugsteig 32.",
                "why": ["714 is missing", "7144 is not in the source"],
            }
        ],
    }
    assert printed["checks"]["de-en"]["loops"]["failing"] == []


def test_checks_beside_a_test_set_add_its_scores_and_rates(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_manifest(tmp_path / "bundle", "en-de", "de-en")

    assert main([bundle, *files, *LANGUAGES, "--checks", "--json"], copy) == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["rates"]["copied"] == 1.0
    assert printed["rates"]["sentences"] == printed["sentences"] == 4
    assert "bleu" in printed and "checks" in printed

    assert main([bundle, *files, *LANGUAGES, "--checks"], copy) == 0

    assert "copied 100.00%" in capsys.readouterr().out


def test_checks_of_a_checkpoint_skip_what_needs_a_sentence_splitter(
    saved: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def remember(
        model: object, tokenizer: object, target: str, texts: Sequence[str], *, beam_size: int
    ) -> list[str]:
        asked.extend(texts)
        return list(texts)

    monkeypatch.setattr("model.evaluate.translate", remember)

    assert main([saved, "--checks"], never) == 0

    assert "4 very long cases skipped" in capsys.readouterr().out
    assert max(len(text.split()) for text in asked) < 100


def test_a_checkpoint_is_checked_on_its_own_translations(
    saved: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [case for case in load_cases() if case.category in {"emails", "loops"}][:4]
    monkeypatch.setattr("model.evaluate.load_cases", lambda: [*few, *LONG_CASES])

    assert main([saved, "--checks", "--beam-size", "1", "--json"], never) == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["checks"]["en-de"]["emails"]["total"] == 4
    assert printed["checks"]["en-de"]["unusual"]["skipped"] == 2


def test_checks_need_a_direction_that_has_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_manifest(tmp_path / "bundle", "fr-en")

    assert main([bundle, "--checks"], never) == 2

    assert "no cases to check for fr-en" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do"),
        (["source", "reference"], "need --from and --to"),
        (["source", "--checks"], "SOURCE goes with REFERENCE"),
        (["--checks", "--from", "de"], "--from goes with --to"),
        (["--checks", "--record", "mine"], "--record and --output need SOURCE"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["model", *arguments], never)

    assert message in capsys.readouterr().err


def test_a_folder_without_a_readable_manifest_is_no_bundle(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--checks"], never) == 2
    assert "is no bundle" in capsys.readouterr().err

    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")

    assert main([str(tmp_path), "--checks"], never) == 2
    assert "is no manifest" in capsys.readouterr().err
