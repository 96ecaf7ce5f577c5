"""The engine on float32 graphs chooses what the reference search on PyTorch chooses."""

import pytest

from model.config import NormPosition
from model.search import Hypothesis as Wanted
from model.search import LengthPenalty, beam_search, greedy_search
from service.engine.job import Hypothesis
from service.engine.options import DecodingOptions
from tests.bundles import sources, tiny_checkpoint, tiny_tokenizer
from tests.parity.conftest import LoadRunner, decode

# Sums of up to 40 log probabilities, each of them off by up to 3e-5 / its share of the sum.
TOLERANCE = 1e-4
MAX_TOKENS = 40
PENALTIES = [
    *(LengthPenalty(power) for power in (0.0, 0.6, 1.0, 1.5)),
    *(LengthPenalty(power, "gnmt") for power in (0.6, 1.5)),
]
SHAPES: list[tuple[NormPosition, bool]] = [("pre", True), ("pre", False), ("post", True)]


def assert_same(found: Hypothesis, wanted: Wanted) -> None:
    assert found.token_ids == tuple(wanted.token_ids)
    assert found.finish_reason == ("stop" if wanted.is_complete else "length")
    assert found.score == pytest.approx(wanted.score, abs=TOLERANCE)


@pytest.mark.parametrize(("norm", "tie_output"), SHAPES)
def test_greedy(load_runner: LoadRunner, norm: NormPosition, tie_output: bool) -> None:
    model, batch = tiny_checkpoint(norm, tie_output).build(), sources(30, seed=5)
    options = DecodingOptions(max_target_tokens=MAX_TOKENS)

    found = decode(load_runner("float32", norm, tie_output), [(one, options) for one in batch])

    wanted = greedy_search(model, tiny_tokenizer(), batch, MAX_TOKENS)
    for [hypothesis], one in zip(found, wanted, strict=True):
        assert_same(hypothesis, one)


def test_translations_end_early_late_and_at_the_limit() -> None:
    found = greedy_search(
        tiny_checkpoint().build(), tiny_tokenizer(), sources(30, seed=5), MAX_TOKENS
    )

    lengths = [len(one.token_ids) for one in found if one.is_complete]
    assert min(lengths) < 5
    assert max(lengths) > 20
    assert len(lengths) < len(found)


@pytest.mark.parametrize("length_penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("beam_size", [2, 3, 4, 5, 8])
def test_beam(load_runner: LoadRunner, beam_size: int, length_penalty: LengthPenalty) -> None:
    model, batch = tiny_checkpoint().build(), sources(3, seed=10 * beam_size)
    options = DecodingOptions(
        beam_size=beam_size,
        num_hypotheses=beam_size,
        length_penalty=length_penalty.power,
        length_penalty_formula=length_penalty.formula,
        max_target_tokens=20,
    )

    found = decode(load_runner("float32"), [(source, options) for source in batch])

    for hypotheses, source in zip(found, batch, strict=True):
        wanted = beam_search(
            model,
            tiny_tokenizer(),
            source,
            beam_size=beam_size,
            length_penalty=length_penalty,
            max_tokens=20,
        )
        assert len(wanted) == beam_size
        for hypothesis, one in zip(hypotheses, wanted, strict=True):
            assert_same(hypothesis, one)
