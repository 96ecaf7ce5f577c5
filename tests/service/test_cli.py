"""`dragoman translate`."""

import io
from pathlib import Path

import pytest

from service.cli import main
from service.offline import translate_texts
from tests.bundles import write_bundle, write_sentences


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("cli") / "bundle")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return [*write_sentences("de", 3), "", *write_sentences("de", 2, seed=2)]


@pytest.fixture(scope="module")
def expected(bundle: Path, lines: list[str]) -> list[str]:
    return translate_texts(bundle, "auto", "de", "en", lines, 4)


def test_texts_on_the_command_line_are_translated_one_a_line(
    bundle: Path, lines: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--from", "de", "--to", "en", "--bundle", str(bundle), *lines[:2]]) == 0

    assert capsys.readouterr().out.splitlines() == expected[:2]


def test_standard_input_is_translated_line_by_line(
    bundle: Path,
    lines: list[str],
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))

    assert main(["--from", "de", "--to", "en", "--bundle", str(bundle)]) == 0

    assert capsys.readouterr().out.split("\n") == [*expected, ""]


def test_a_file_becomes_a_file_of_as_many_lines(
    bundle: Path, lines: list[str], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes("\r\n".join(lines).encode())
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]

    assert main(["--from", "de", "--to", "en", "--bundle", str(bundle), *files]) == 0

    assert (tmp_path / "out").read_text(encoding="utf-8").split("\n") == [*expected, ""]


def test_options_reach_the_engine(
    bundle: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--from", "de", "--to", "en", "--bundle", str(bundle), lines[0]]
    main(["--target-prefix", "The garden", *call])
    prefixed = capsys.readouterr().out
    main(["--target-prefix", "The garden", "--no-repeat-ngram-size", "1", *call])
    without_repeating = capsys.readouterr().out

    assert prefixed.startswith("The garden")
    assert without_repeating.startswith("The garden")
    assert without_repeating != prefixed


def test_a_seed_that_was_drawn_is_told_and_draws_the_same_again(
    bundle: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--from", "de", "--to", "en", "--bundle", str(bundle), "--temperature", "1.5"]
    main([*call, *lines])
    drawn = capsys.readouterr()
    main([*call, "--seed", drawn.err.split()[-1], *lines])
    again = capsys.readouterr()

    assert drawn.err.startswith("dragoman translate: seed ")
    assert again.out == drawn.out
    assert again.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "xx", "hallo"], "'xx' is not supported; languages: en, de"),
        (["--to", "en", "--beam-size", "99", "hallo"], "beam_size is 99; the limit is 1 to 8"),
        (["--to", "en", "--seed", "1", "hallo"], "seed needs temperature, top_k or top_p"),
        (["--to", "en", "--precision", "int4", "hallo"], "DRAGOMAN_PRECISION is 'int4'"),
        (["--to", "en", "--input", "/nowhere/at/all"], "No such file or directory"),
    ],
)
def test_what_is_refused_is_named_in_one_line(
    arguments: list[str], message: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--from", "de", "--bundle", str(bundle), *arguments]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("dragoman translate: ")
    assert error.count("\n") == 1


def test_a_folder_that_is_no_bundle_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--from", "de", "--to", "en", "--bundle", str(tmp_path), "hallo"]) == 2

    assert f"{tmp_path} is no bundle" in capsys.readouterr().err
