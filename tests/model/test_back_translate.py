import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from model import back_translate, checkpoint
from model.checkpoint import Checkpoint
from model.corpus import Pair, read_pairs
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from model.validate import translate
from tests.model.conftest import MakeConfig

TEXTS = ["the dog sees the cat", "a\u2028b c", "the old house", " ".join(["dog"] * 45)]
LEFT_OUT = ["the man", "", " ".join(["dog"] * 46)]


@pytest.fixture
def saved(make_config: MakeConfig, tokenizer: Tokenizer) -> Checkpoint:
    config = make_config(vocab_size=tokenizer.vocab_size)
    return Checkpoint(
        model=config,
        weights=Transformer(config).state_dict(),
        tokenizer=tokenizer,
        languages=("en", "de"),
        directions=(("en", "de"), ("de", "en")),
        history={},
        extra={},
    )


@pytest.fixture
def run(tmp_path: Path, saved: Checkpoint) -> Callable[..., int]:
    checkpoint.save(tmp_path / "model.safetensors", saved)
    with lzma.open(tmp_path / "mono.xz", "wt", encoding="utf-8") as file:
        file.write("".join(f"{text}\n" for text in [*TEXTS[:2], *LEFT_OUT, *TEXTS[2:]]))

    def run(source: str, target: str, **others: Path | int) -> int:
        given = {"input": tmp_path / "mono.xz", "output": tmp_path / "back/out.tsv", **others}
        options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        arguments = [str(tmp_path / "model.safetensors"), "--from", source, "--to", target]
        return back_translate.main([*arguments, *options])

    return run


@pytest.mark.parametrize(("source", "target"), [("de", "en"), ("en", "de")])
def test_a_corpus_in_the_order_of_the_languages_is_written(
    run: Callable[..., int], saved: Checkpoint, tmp_path: Path, source: str, target: str
) -> None:
    made = translate(saved.build(), saved.tokenizer, target, TEXTS)

    assert run(source, target) == 0

    pairs = list(read_pairs(tmp_path / "back/out.tsv"))
    sides = [Pair(own, other) for own, other in zip(TEXTS, made, strict=True)]
    assert pairs == (sides if source == "en" else [Pair(other, own) for own, other in sides])


def test_tabs_and_line_ends_do_not_part_a_pair(
    saved: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tabs(model: Any, tokenizer: Any, target: str, texts: Sequence[str]) -> list[str]:
        return ["a\tb\nc\rd"] * len(texts)

    monkeypatch.setattr(back_translate, "translate", tabs)

    assert back_translate.pairs_from(saved, "de", "en", ["eins\tzwei"]) == ["a b c d\teins zwei"]


def test_a_direction_that_the_model_lacks_is_refused(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("de", "fr") == 2

    assert capsys.readouterr().err == (
        "dragoman back-translate: the checkpoint translates en-de, de-en, not de-fr\n"
    )
    assert not (tmp_path / "back").exists()


def test_several_files_are_read_and_some_lines_drawn(tmp_path: Path) -> None:
    paths = [tmp_path / "a.de", tmp_path / "b.de"]
    for name, path in zip("ab", paths, strict=True):
        path.write_text("".join(f"satz {name} {number}\n" for number in range(100)))

    every = back_translate.read_texts(paths)
    drawn = back_translate.read_texts(paths, 50)

    assert every == [f"satz {name} {number}" for name in "ab" for number in range(100)]
    assert len(set(drawn)) == 50
    assert set(drawn) <= set(every)
    assert drawn != every[:50]
    assert {text.split()[1] for text in drawn} == {"a", "b"}
    assert back_translate.read_texts(paths, 50) == drawn
    assert back_translate.read_texts(paths, 500) == every


def test_files_without_a_sentence_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_text("zwei Worte\n")

    with pytest.raises(ValueError, match=r"no line of .*a\.de has 3 to 45 words"):
        back_translate.read_texts([tmp_path / "a.de"])


@pytest.mark.parametrize("count", [0, -1])
def test_no_sentence_at_all_is_refused(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    assert run("de", "en", **{"max-sentences": count}) == 2

    assert capsys.readouterr().err == (
        f"dragoman back-translate: --max-sentences is {count}; it must be at least 1\n"
    )
    assert not (tmp_path / "back").exists()


def test_a_missing_file_is_refused(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("de", "en", input=tmp_path / "none.de") == 2

    assert "none.de" in capsys.readouterr().err
