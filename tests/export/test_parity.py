"""The gate lets good graphs pass and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.errors import ShapeMismatch, ValueMismatch
from export.onnx_model import OnnxModel
from export.parity import (
    MAX_FLOAT32_DIFFERENCE,
    MIN_AGREEMENT,
    Array,
    Parity,
    Sample,
    make_sample,
    margin,
    measure,
    onnx_logits,
    require_parity,
)
from tests.bundles import tiny_checkpoint, tiny_graphs, tiny_tokenizer, write_sentences

SOUND = Parity(
    sentences=10,
    tokens=100,
    max_abs_difference=1e-5,
    mean_abs_difference=1e-6,
    token_agreement=1.0,
    identical_translations=1.0,
)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    model = tiny_checkpoint().build()
    return [
        make_sample(model, tiny_tokenizer(), text, "en", "de")
        for text in write_sentences("en", 3, seed=4)
    ]


def change_weight(graph: onnx.ModelProto, name: str, factor: float) -> None:
    [tensor] = [tensor for tensor in graph.graph.initializer if tensor.name == name]
    changed = numpy_helper.to_array(tensor) * np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(changed, name))


def check(samples: Sequence[Sample], damaged: str = "", factor: float = 1.0) -> None:
    """Pass the float32 graphs through the gate, after damage to a weight of the decoder."""
    checkpoint = tiny_checkpoint()
    encoder, decoder = tiny_graphs("float32")
    if damaged:
        change_weight(decoder, damaged, factor)
    onnx_model = OnnxModel(checkpoint.model, encoder, decoder)
    found = [onnx_logits(onnx_model, sample) for sample in samples]
    require_parity("float32", measure(samples, found))


def test_good_graphs_pass(samples: list[Sample]) -> None:
    check(samples)


@pytest.mark.parametrize(
    ("weight", "factor"),
    [
        ("decoder.1.narrow.weight", 1.01),
        ("decoder.0.cross_query.weight", 0.0),
        ("output.bias", np.nan),
    ],
)
def test_a_damaged_weight_is_refused(samples: list[Sample], weight: str, factor: float) -> None:
    with pytest.raises(ValueMismatch, match="float32"):
        check(samples, weight, factor)


def test_logits_of_another_shape_are_refused(samples: list[Sample]) -> None:
    class Short(OnnxModel):
        def __init__(self) -> None:
            pass

        def logits(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Array:
            return samples[0].logits[:, :-1]

    with pytest.raises(ShapeMismatch, match="399"):
        onnx_logits(Short(), samples[0])


def test_a_difference_above_the_limit_is_refused_with_both_numbers() -> None:
    parity = replace(SOUND, max_abs_difference=2 * MAX_FLOAT32_DIFFERENCE)

    with pytest.raises(ValueMismatch, match=r"2\.00e-03; the limit is 1e-03"):
        require_parity("float32", parity)


def test_one_other_token_is_refused_in_float32() -> None:
    with pytest.raises(ValueMismatch, match=r"99\.00%"):
        require_parity("float32", replace(SOUND, token_agreement=0.99))


def test_int8_may_differ_until_it_prefers_other_tokens_too_often() -> None:
    far = replace(SOUND, max_abs_difference=1.0, token_agreement=MIN_AGREEMENT["int8"])

    require_parity("int8", far)

    with pytest.raises(ValueMismatch, match=r"89\.00% .* limit is 90%"):
        require_parity("int8", replace(far, token_agreement=0.89))


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(precision: str, value: float) -> None:
    with pytest.raises(ValueMismatch, match="finite"):
        require_parity(precision, replace(SOUND, max_abs_difference=value))


def test_one_nan_among_all_logits_is_noticed(samples: list[Sample]) -> None:
    found = [sample.logits.copy() for sample in samples]
    found[1][0, 17] = np.nan

    assert np.isnan(measure(samples, found).max_abs_difference)


def test_figures_count_tokens_and_sentences(samples: list[Sample]) -> None:
    found = [sample.logits.copy() for sample in samples]
    first = found[0]
    first[0, :] = 0.0
    first[0, (samples[0].target_ids[0] + 1) % first.shape[1]] = 1.0  # prefers another token

    parity = measure(samples, found)

    tokens = sum(len(sample.target_ids) for sample in samples)
    assert parity.sentences == 3
    assert parity.tokens == tokens
    assert parity.token_agreement == pytest.approx((tokens - 1) / tokens)
    assert parity.identical_translations == pytest.approx(2 / 3)
    wanted = np.abs(first - samples[0].logits)
    assert parity.max_abs_difference == pytest.approx(wanted.max())
    sizes = sum(sample.logits.size for sample in samples)
    assert parity.mean_abs_difference == pytest.approx(wanted.sum() / sizes, rel=1e-4)


def test_a_sample_is_the_greedy_translation_with_the_scores_that_chose_it(
    samples: list[Sample],
) -> None:
    tokenizer = tiny_tokenizer()
    for sample in samples:
        assert sample.logits.argmax(axis=1).tolist() == list(sample.target_ids)
        assert sample.source_ids[0] == tokenizer.tag_id("de")
        assert sample.source_ids[-1] == tokenizer.eos_id
        assert sample.fed_ids == [tokenizer.bos_id, *sample.target_ids[:-1]]


def test_the_margin_is_the_smallest_lead_of_a_best_token() -> None:
    logits = np.array([[1.0, 5.0, 2.0], [7.0, 0.0, 6.5]], dtype=np.float32)

    assert margin(logits) == pytest.approx(0.5)
