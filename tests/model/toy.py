"""A toy language pair, small enough to learn from in a test, and a recipe that does."""

from pathlib import Path
from random import Random

from model.corpus import Pair

LEXICON = {
    "the": "der",
    "dog": "hund",
    "cat": "kater",
    "house": "haushalt",
    "man": "mann",
    "sees": "sieht",
    "hears": "hört",
    "loves": "liebt",
    "red": "rote",
    "small": "kleine",
    "old": "alte",
    "and": "und",
    "never": "nie",
    "today": "heute",
}


def toy_pairs(count: int, seed: int = 1) -> list[Pair]:
    """Sentences of random words, translated word by word."""
    random = Random(seed)
    pairs = []
    for _ in range(count):
        words = random.choices(list(LEXICON), k=random.randint(2, 8))
        pairs.append(Pair(" ".join(words), " ".join(LEXICON[word] for word in words)))
    return pairs


RECIPE = """
name = "toy"
languages = ["en", "de"]
directions = ["en-de", "de-en"]

[tokenizer]
vocab_size = 300

[model]
d_model = 16
d_ff = 32
num_heads = 2
num_encoder_layers = 2
num_decoder_layers = 1
dropout = {dropout}

[train]
batch_tokens = {batch_tokens}
accumulation = {accumulation}
max_updates = {max_updates}
warmup_updates = 5
peak_learning_rate = {peak_learning_rate}
cooldown_updates = 4
final_updates = {final_updates}
validate_every = {validate_every}
log_every = {log_every}
keep_best = {keep_best}
average_last = {average_last}
patience = {patience}
precision = "{precision}"
optimizer = "{optimizer}"
compile = {compile}

[augment]
join = 0.2
swap = 0.1
lower = 0.1

[[corpus]]
files = ["a.tsv"]
weight = 3

[[corpus]]
files = ["b.en", "b.de"]

[[validation]]
files = ["dev.en", "dev.de"]
max_sentences = 3
"""

DEFAULTS = {
    "dropout": 0.1,
    "batch_tokens": 200,
    "accumulation": 1,
    "max_updates": 20,
    "final_updates": 0,
    "peak_learning_rate": 3e-3,
    "validate_every": 6,
    "log_every": 5,
    "keep_best": 1,
    "average_last": 2,
    "patience": 0,
    "precision": "float32",
    "optimizer": "adamw",
    "compile": "false",
}


def write_recipe(folder: Path, **settings: object) -> Path:
    """Write corpora and a recipe that learns from them; `settings` differ from `DEFAULTS`."""
    assert set(settings) <= set(DEFAULTS)
    _write(folder / "a.tsv", ["\t".join(pair) for pair in toy_pairs(150, seed=1)])
    for name, seed, count in (("b", 2, 50), ("dev", 3, 10)):
        pairs = toy_pairs(count, seed)
        _write(folder / f"{name}.en", [pair.first for pair in pairs])
        _write(folder / f"{name}.de", [pair.second for pair in pairs])
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE.format(**{**DEFAULTS, **settings}), encoding="utf-8")
    return recipe


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def file_names(folder: Path) -> list[str]:
    """What a run has written, its TensorBoard folder left out."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())
