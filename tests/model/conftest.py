"""What tests of the model share: one thread, a toy tokenizer, tiny sizes, a finished toy run.

`tests/conftest.py` has put `model` under the import hook that checks shapes.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from model import train
from model.augment import AugmentConfig
from model.batching import Direction, Stream
from model.config import ModelConfig
from model.tokenizer import Tokenizer, train_tokenizer
from tests.model.toy import toy_pairs, write_recipe

MakeConfig = Callable[..., ModelConfig]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums in one order only, and no fight for cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    lines = [f" {side}" for pair in toy_pairs(500) for side in pair]
    return train_tokenizer(lines, vocab_size=300, languages=("en", "de"))


@pytest.fixture(scope="session")
def stream(tokenizer: Tokenizer) -> Stream:
    """Both directions of the toy language, in rounds of few batches."""
    return Stream(
        tokenizer=tokenizer,
        corpora=[toy_pairs(100)],
        directions=[Direction(True, "de", [1.0]), Direction(False, "en", [1.0])],
        augment=AugmentConfig(),
        batch_tokens=120,
        seed=1,
        round_sentences=60,
    )


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Make a tiny model configuration without dropout; arguments override."""

    def make(**settings: object) -> ModelConfig:
        tiny = {
            "vocab_size": 23,
            "d_model": 16,
            "d_ff": 40,
            "num_heads": 4,
            "num_encoder_layers": 2,
            "num_decoder_layers": 2,
            "dropout": 0.0,
        }
        return ModelConfig.from_dict({**tiny, **settings})

    return make


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """A run sets its own, and leaves them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No run is one of several processes, and the signal handlers of a run go with it."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with _signal_handlers_kept():
        yield


class Finished(NamedTuple):
    """A run from start to end: its recipe, its folder, and what it printed."""

    recipe: Path
    folder: Path
    printed: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """20 updates on the toy corpus; validated after 6, 12 and 18."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = write_recipe(folder)
    printed = StringIO()
    with _signal_handlers_kept(), redirect_stdout(printed):
        assert train.main([str(recipe), "--folder", str(folder / "run")]) == 0
    return Finished(recipe, folder / "run", printed.getvalue())
