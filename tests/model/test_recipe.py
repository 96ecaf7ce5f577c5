from dataclasses import replace
from pathlib import Path

import pytest

from model.augment import AugmentConfig
from model.recipe import CorpusConfig, Recipe
from tests.model.toy import write_recipe

SHIPPED = sorted((Path(__file__).parents[2] / "model" / "recipes").glob("*.toml"))


def edited(tmp_path: Path, old: str, new: str) -> Path:
    """The toy recipe with one place changed."""
    path = write_recipe(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_a_recipe_is_read_as_written(tmp_path: Path) -> None:
    recipe = Recipe.load(write_recipe(tmp_path, max_updates=77))

    assert recipe.name == "toy"
    assert recipe.languages == ("en", "de")
    assert recipe.directions == (("en", "de"), ("de", "en"))
    assert recipe.model.vocab_size == recipe.tokenizer.vocab_size == 300
    assert recipe.train.max_updates == 77
    assert recipe.augment == AugmentConfig(join=0.2, swap=0.1, lower=0.1)
    assert recipe.corpora == (
        CorpusConfig(files=("a.tsv",), weight=3.0),
        CorpusConfig(files=("b.en", "b.de"), weight=1.0),
    )
    assert recipe.validation[0].max_sentences == 3


def test_a_corpus_may_have_another_weight_in_the_end(tmp_path: Path) -> None:
    recipe = Recipe.load(edited(tmp_path, "weight = 3", "weight = 3\nfinal_weight = 5"))
    first, second = recipe.corpora

    assert [first.weight_for("en", "de", is_final=last) for last in (False, True)] == [3.0, 5.0]
    assert [second.weight_for("en", "de", is_final=last) for last in (False, True)] == [1.0, 1.0]


def test_a_corpus_weighs_nothing_in_a_direction_that_it_does_not_feed() -> None:
    corpus = CorpusConfig(files=("a.tsv",), final_weight=2.0, directions=("en-de",))

    for is_final in (False, True):
        assert corpus.weight_for("de", "en", is_final=is_final) == 0.0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    assert Recipe.load(path).name == path.stem


def test_a_recipe_holds_what_it_extends_where_it_says_nothing_else(tmp_path: Path) -> None:
    write_recipe(tmp_path, max_updates=77)
    (tmp_path / "more.toml").write_text(
        'name = "more"\nextends = "toy.toml"\n[train]\nseed = 9\n'
        '[[corpus]]\nfiles = ["b.en", "b.de"]\nweight = 5\n[[corpus]]\nfiles = ["c.tsv"]\n'
    )
    base = Recipe.load(tmp_path / "toy.toml")

    more = Recipe.load(tmp_path / "more.toml")

    assert more.corpora == (
        base.corpora[0],
        CorpusConfig(files=("b.en", "b.de"), weight=5.0),
        CorpusConfig(files=("c.tsv",)),
    )
    assert more.train == replace(base.train, seed=9)
    assert replace(more, name="toy", train=base.train, corpora=base.corpora) == base


@pytest.mark.parametrize(
    ("base", "message"),
    [('"more.toml"', "more.toml extends itself"), ("5", "extends is 5; it must name a file")],
)
def test_what_cannot_be_extended_is_refused(tmp_path: Path, base: str, message: str) -> None:
    (tmp_path / "more.toml").write_text(f'name = "more"\nextends = {base}\n')

    with pytest.raises(ValueError, match=message):
        Recipe.load(tmp_path / "more.toml")


def test_what_a_recipe_extends_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('name = "more"\nextends = "nothing.toml"\n')

    with pytest.raises(OSError, match=r"nothing\.toml"):
        Recipe.load(tmp_path / "more.toml")


def test_local_forms_are_for_english_and_german_only(tmp_path: Path) -> None:
    path = edited(tmp_path, "swap = 0.1", "swap = 0.1\nlocal = 0.1")
    assert Recipe.load(path).augment.local == 0.1

    path.write_text(
        path.read_text().replace('"de"', '"fr"').replace("-de", "-fr").replace("de-", "fr-")
    )
    with pytest.raises(ValueError, match=r"augment\.local knows the languages"):
        Recipe.load(path)


def test_files_are_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    assert Recipe.load(write_recipe(tmp_path)).data.samefile(tmp_path)


def test_files_are_looked_for_in_the_folder_that_the_recipe_names(tmp_path: Path) -> None:
    path = edited(tmp_path, 'name = "toy"', 'name = "toy"\ndata = "corpora"')

    assert Recipe.load(path).data == tmp_path / "corpora"


def test_the_caller_may_name_another_data_folder(tmp_path: Path) -> None:
    assert Recipe.load(write_recipe(tmp_path), Path("/elsewhere")).data == Path("/elsewhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "toy"', 'name = "toy"\nepochs = 3', "a recipe knows no .*'epochs'"),
        ("d_ff = 32", "d_ff = 32\nnhead = 4", "ModelConfig knows no .*'nhead'"),
        ("warmup_updates", "warm_up", "TrainConfig knows no .*'warm_up'"),
        ("weight = 3", "wieght = 3", "CorpusConfig knows no .*'wieght'"),
        ("max_sentences = 3", "lines = 6", "ValidationConfig knows no .*'lines'"),
        ("vocab_size = 300", "vocab_size = 300\ntype = 1", "TokenizerConfig knows no .*'type'"),
        ("swap = 0.1", "shuffle = 0.1", "AugmentConfig knows no .*'shuffle'"),
        ("swap = 0.1", "swap = 1.1", r"augment\.swap is 1\.1"),
        ("d_model = 16", "d_model = 15", "d_model is 15"),
        ("weight = 3", 'directions = ["en-fr"]', "a corpus is for 'en-fr'"),
        ("weight = 3", "weight = 0", "weight 0.0; it must be above 0"),
        ("weight = 3", "final_weight = -1", "final_weight -1.0; it must not be negative"),
        ('files = ["a.tsv"]', "files = []", "at least one file"),
        ('files = ["dev.en", "dev.de"]', 'files = ["dev.en"]', "two aligned files"),
        ("[augment]", '[[test]]\nfiles = ["a.tsv"]\n[augment]', "a test takes two aligned files"),
        ("[augment]", '[[test]]\nfile = "a"\n[augment]', "TestConfig knows no .*'file'"),
        ('name = "toy"\n', "", "a recipe needs .*'name'"),
        ('"en-de"', '"en-fr"', "the direction en-fr is not between"),
        ('"en-de"', '"en"', "the direction en is not between"),
        ('"en-de"', '"en-de-en"', "the direction en-de-en is not between"),
        ('["en-de", "de-en"]', "[]", "at least one direction"),
        ('languages = ["en", "de"]', 'languages = ["en"]', "it must name two"),
        ("[model]", "[model", "line"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_file_and_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = edited(tmp_path, old, new)

    with pytest.raises(ValueError, match=rf"(?s)toy\.toml: .*{message}"):
        Recipe.load(path)
