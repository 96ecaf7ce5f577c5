"""A recipe: one commented TOML file that names data, model and training."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.augment import AugmentConfig
from model.config import Config, ModelConfig, TrainConfig, require
from model.local_forms import LANGUAGES


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Config):
    """Pairs to draw from.

    Attributes:
        files: one tab-separated file or two aligned ones, relative to `data`; a glob
            pattern names several tab-separated files.
        weight: share of drawn pairs, in proportion to the other corpora's weights.
        final_weight: the same for the last `TrainConfig.final_updates`; 0 for `weight`.
        directions: the only ones that learn from it, such as "en-de"; empty for all. Pairs
            whose one side a machine wrote are good as sources, and not as targets.
    """

    files: tuple[str, ...]
    weight: float = 1.0
    final_weight: float = 0.0
    directions: tuple[str, ...] = ()

    def weight_for(self, source: str, target: str, *, is_final: bool) -> float:
        """Its weight among the pairs of a direction, which is 0 where it does not feed it."""
        if not self.feeds(source, target):
            return 0.0
        return self.final_weight if is_final and self.final_weight else self.weight

    def feeds(self, source: str, target: str) -> bool:
        """Whether the direction learns from these pairs."""
        return not self.directions or f"{source}-{target}" in self.directions

    def __post_init__(self) -> None:
        require(len(self.files) >= 1, "a corpus needs at least one file")
        require(self.weight > 0, f"a corpus has weight {self.weight}; it must be above 0")
        require(
            self.final_weight >= 0,
            f"a corpus has final_weight {self.final_weight}; it must not be negative",
        )


@dataclass(frozen=True, kw_only=True)
class ValidationConfig(Config):
    """Two aligned files to validate on, and how many of their lines."""

    files: tuple[str, ...]
    max_sentences: int = 500

    def __post_init__(self) -> None:
        require(len(self.files) == 2, f"validation takes two aligned files, not {self.files}")


@dataclass(frozen=True, kw_only=True)
class TestConfig(Config):
    """Two aligned files that the finished model is scored on."""

    files: tuple[str, ...]
    beam_size: int = 4

    def __post_init__(self) -> None:
        require(len(self.files) == 2, f"a test takes two aligned files, not {self.files}")
        require(self.beam_size >= 1, f"test.beam_size is {self.beam_size}; at least 1")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig(Config):
    """The vocabulary to learn.

    Attributes:
        max_sentences: lines to learn it from, drawn by corpus weight.
        lowercase: drop case, in scores too, as some benchmarks do; not for a model to serve.
    """

    vocab_size: int
    max_sentences: int = 500_000
    lowercase: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a training run needs to know.

    Attributes:
        languages: codes of the two sides of every file, in that order.
        directions: pairs of codes to learn, such as ("en", "de").
        data: folder that file names are relative to.
    """

    name: str
    languages: tuple[str, str]
    directions: tuple[tuple[str, str], ...]
    data: Path
    tokenizer: TokenizerConfig
    model: ModelConfig
    train: TrainConfig
    corpora: tuple[CorpusConfig, ...]
    validation: tuple[ValidationConfig, ...]
    tests: tuple[TestConfig, ...] = ()
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @classmethod
    def load(cls, path: Path, data: Path | None = None) -> "Recipe":
        """Read a TOML file; `data` overrides the folder it names.

        What it `extends`, another recipe beside it, holds where it says nothing else: its tables
        add to the other's, and its corpora, too, or take the place of those of the same files.

        Raises:
            ValueError: naming the file, if it is no TOML or holds what a recipe does not know.
            OSError: if there is no such file.
        """
        try:
            return cls._from_table(_read_table(path), path, data)
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def _from_table(cls, table: dict[str, Any], path: Path, data: Path | None) -> "Recipe":
        known = {
            *("name", "languages", "directions", "data", "tokenizer"),
            *("model", "train", "augment", "corpus", "validation", "test"),
        }
        require(set(table) <= known, f"a recipe knows no {sorted(set(table) - known)}")
        required = known - {"augment", "data", "train", "test"}
        require(required <= set(table), f"a recipe needs {sorted(required - set(table))}")
        languages = tuple(table["languages"])
        require(len(languages) == 2, f"languages is {languages}; it must name two")
        directions = _read_directions(table["directions"], languages)
        corpora = tuple(CorpusConfig.from_dict(corpus) for corpus in table["corpus"])
        _check_corpora(corpora, table["directions"])
        tokenizer = TokenizerConfig.from_dict(table["tokenizer"])
        augment = AugmentConfig.from_dict(table.get("augment", {}))
        require(
            not augment.local or languages == LANGUAGES,
            f"augment.local knows the languages {LANGUAGES}, in this order, not {languages}",
        )
        return cls(
            name=table["name"],
            languages=(languages[0], languages[1]),
            directions=directions,
            data=data or (path.parent / table.get("data", ".")),
            tokenizer=tokenizer,
            model=ModelConfig.from_dict({"vocab_size": tokenizer.vocab_size, **table["model"]}),
            train=TrainConfig.from_dict(table.get("train", {})),
            corpora=corpora,
            validation=tuple(ValidationConfig.from_dict(entry) for entry in table["validation"]),
            tests=tuple(TestConfig.from_dict(entry) for entry in table.get("test", ())),
            augment=augment,
        )


def _read_table(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe's table, with what it extends, which none of those `extending` it may be."""
    require(path.resolve() not in extending, f"{path.name} extends itself")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    base = table.pop("extends", None)
    if base is None:
        return table
    require(isinstance(base, str), f"extends is {base!r}; it must name a file")
    inherited = _read_table(path.parent / base, (*extending, path.resolve()))
    own_files = [corpus.get("files") for corpus in table.get("corpus", ())]
    corpora = [
        corpus for corpus in inherited.get("corpus", ()) if corpus.get("files") not in own_files
    ]
    merged = {
        key: {**inherited.get(key, {}), **value} if isinstance(value, dict) else value
        for key, value in table.items()
    }
    return {**inherited, **merged, "corpus": [*corpora, *table.get("corpus", ())]}


def _read_directions(
    names: Sequence[str], languages: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Source and target of directions such as "en-de"."""
    require(len(names) >= 1, "a recipe needs at least one direction")
    for name in names:
        require(
            sorted(name.split("-")) == sorted(languages),
            f"the direction {name} is not between {languages}",
        )
    return tuple((source, target) for source, target in (name.split("-") for name in names))


def _check_corpora(corpora: Sequence[CorpusConfig], directions: Sequence[str]) -> None:
    """Every direction has something to learn from, and every corpus a direction."""
    for direction in directions:
        source, target = direction.split("-")
        require(
            any(corpus.feeds(source, target) for corpus in corpora),
            f"no corpus feeds the direction {direction}",
        )
    for name in {name for corpus in corpora for name in corpus.directions}:
        require(name in directions, f"a corpus is for {name!r}, which is not among {directions}")
