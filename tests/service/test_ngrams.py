import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import ngrams
from service.ngrams import Automaton, load_ngrams

NUM_STATES, NUM_ROWS = 40, 3_000  # more rows than are looked at together


def count(
    moves: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.uint16],
    features: npt.NDArray[np.int32],
    text: bytes,
) -> Counter[int]:
    """What `Automaton.count` finds, from the whole table."""
    state, found = 0, []
    for letter in text:
        state = int(moves[rows[state], letter])
        found.append(int(features[state]))
    return Counter(feature for feature in found if feature >= 0)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=60))
def test_a_packed_table_makes_the_same_moves(seed: int, text: bytes) -> None:
    draw = np.random.default_rng(seed)
    moves = np.tile(draw.integers(NUM_STATES, size=256, dtype=np.uint32), (NUM_ROWS, 1))
    own = draw.random(moves.shape) < 0.3  # the others lead where they do from any row
    moves[own] = draw.integers(NUM_STATES, size=own.sum())
    rows = draw.integers(NUM_ROWS, size=NUM_STATES).astype(np.uint16)
    features = draw.integers(-1, 9, size=NUM_STATES).astype(np.int32)

    found = Automaton.pack(moves, rows, features).count(text)

    wanted = count(moves, rows, features, text)
    assert list(found.items()) == list(wanted.items())


def test_what_the_library_takes_75_mb_for_takes_6() -> None:
    found = load_ngrams(("de", "en"))

    kept = [memoryview(part).nbytes for part in vars(found.automaton).values()]
    assert sum(kept) + found.weights.nbytes + found.priors.nbytes < 6_000_000
    base = found.weights.base
    assert base is None or base.nbytes == found.weights.nbytes, "it keeps all languages' weights"


def test_a_language_that_the_library_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="no language is known as qq, xx"):
        load_ngrams(("de", "xx", "qq"))


def test_a_model_of_another_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lzma.open(tmp_path / "model.xz", "wb") as file:
        np.savez(file, other=np.zeros(3))
    monkeypatch.setattr(ngrams, "MODEL_DIR", tmp_path)
    monkeypatch.setattr(ngrams, "MODEL_FILE", "model.xz")

    with pytest.raises(ValueError, match=r"has other\.npy where ptc\.npy was"):
        load_ngrams(("de",))
