import re
from pathlib import Path

import pytest

from model import checkpoint, held_out, train
from model.corpus import Pair
from model.recipe import Recipe
from tests.model.conftest import Finished
from tests.model.toy import write_recipe

TEST = """
[[test]]
files = ["dev.en", "dev.de"]
beam_size = 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = write_recipe(tmp_path)
    text = path.read_text().replace("vocab_size = 300", "vocab_size = 300\nlowercase = true")
    path.write_text(text + TEST)
    return Recipe.load(path)


def test_sides_are_turned_by_the_source_language(recipe: Recipe) -> None:
    pairs = [Pair("dog", "hund"), Pair("cat", "kater")]

    assert held_out.sides(recipe, pairs, "en") == (["dog", "cat"], ["hund", "kater"])
    assert held_out.sides(recipe, pairs, "de") == (["hund", "kater"], ["dog", "cat"])


def test_long_and_lopsided_pairs_are_not_left_out(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "t.en").write_text("dog " * 500 + "\n" + "a\n")
    (tmp_path / "t.de").write_text("hund\n" + "b " * 100 + "\n")

    assert len(held_out.load_all(recipe, ("t.en", "t.de"))) == 2


def test_the_validation_sets_are_cut_to_the_recipes_number(recipe: Recipe) -> None:
    assert {name: len(pairs) for name, pairs in held_out.load_validation(recipe).items()} == {
        "dev": 3
    }


def test_a_model_is_tested_in_every_direction_as_the_recipe_says(
    recipe: Recipe, finished: Finished
) -> None:
    said: list[str] = []

    held_out.test(recipe, checkpoint.load(finished.folder / train.AVERAGED), said.append)

    assert len(said) == 4
    for line, direction in zip(said[::2], ("en-de", "de-en"), strict=True):
        assert re.fullmatch(rf"test dev {direction}, beam 2: BLEU [\d.]+  chrF [\d.]+", line)
    assert all("case:lc" in line for line in said[1::2])


def test_a_run_ends_with_its_tests_and_all_its_scores_leave_out_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path, max_updates=5, validate_every=5)
    text = path.read_text().replace("vocab_size = 300", "vocab_size = 300\nlowercase = true")
    path.write_text(text + TEST)

    assert train.main([str(path), "--folder", str(tmp_path / "run")]) == 0

    printed = capsys.readouterr().out
    assert "test dev en-de, beam 2: BLEU" in printed
    assert printed.count("case:lc") == 6  # two directions validated, two tested with two signatures
