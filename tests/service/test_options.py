"""From what a request wishes to what the engine is asked for."""

from dataclasses import replace
from typing import Any

import pytest

from service.engine.options import DecodingOptions
from service.errors import IncompatibleOptions, InvalidOption, InvalidText
from service.options import RANGES, OptionsPlan, plan_options
from service.options_body import OptionsBody
from service.served_model import ServedModel
from service.settings import Settings
from service.translation import OptionsWish
from tests.service.stub_engine import SILENT_IDS, StubTokenizer

encode = StubTokenizer().encode


def plan(model: ServedModel, **wish: Any) -> OptionsPlan:
    return plan_options(OptionsWish(**wish).with_seed(), model, Settings(), encode)


def first(model: ServedModel, **wish: Any) -> DecodingOptions:
    return plan(model, **wish).of_segment(0, 10)


def test_what_is_left_out_is_decided_by_settings_and_bundle(model: ServedModel) -> None:
    gnmt = replace(model, length_penalty_formula="gnmt")

    assert first(gnmt) == DecodingOptions(
        beam_size=4,
        length_penalty=0.6,
        length_penalty_formula="gnmt",
        max_target_tokens=36,  # 16 + 2 * 10
        silent_ids=SILENT_IDS,
    )
    assert first(gnmt, length_penalty_formula="plain").length_penalty_formula == "plain"


@pytest.mark.parametrize(
    ("wish", "limit"),
    [
        ({}, 36),
        ({"max_target_ratio": 0.5}, 21),
        ({"max_target_ratio": 20.0}, 100),
        ({"max_target_tokens": 50}, 50),
        ({"max_target_tokens": 3}, 3),
        ({"max_target_tokens": 20, "max_target_ratio": 0.5}, 20),
        ({"max_target_tokens": 30, "max_target_ratio": 0.5}, 21),
        ({"min_target_tokens": 60}, 61),  # and eos
        ({"min_target_tokens": 100}, 100),
        ({"min_target_tokens": 30, "max_target_tokens": 30}, 30),
        ({"target_prefix": "x" * 10}, 46),
        ({"target_prefix": "x" * 99}, 100),
    ],
)
def test_a_limit_is_the_lowest_asked_for_with_room_for_what_must_be(
    model: ServedModel, wish: dict[str, Any], limit: int
) -> None:
    assert first(model, **wish).max_target_tokens == limit


def test_only_the_first_segment_of_a_text_has_the_prefix(model: ServedModel) -> None:
    planned = plan(model, target_prefix=" Ja ")

    assert planned.of_segment(0, 10).target_prefix == tuple(encode("Ja"))
    assert planned.of_segment(1, 10) == replace(
        planned.of_segment(0, 10), target_prefix=(), max_target_tokens=36
    )


def test_only_the_first_segment_of_a_text_has_alternatives(model: ServedModel) -> None:
    planned = plan(model, return_alternatives=True, num_hypotheses=3)

    assert planned.of_segment(0, 10).return_alternatives
    assert planned.of_segment(0, 10).beam_size == 3
    assert planned.of_segment(1, 10) == first(model, beam_size=1)


@pytest.mark.parametrize("name", sorted(RANGES.keys() - {"seed"}))
def test_a_range_is_documented(name: str) -> None:
    low, high = RANGES[name]

    description = OptionsBody.model_fields[name].description
    assert description is not None
    assert f"{low:g} to {high:g}" in description


@pytest.mark.parametrize("wish", [{"temperature": 1.0}, {"top_k": 4}, {"top_p": 0.5}])
def test_each_way_to_draw_asks_for_as_many_samples_as_hypotheses(
    model: ServedModel, wish: dict[str, Any]
) -> None:
    options = first(model, num_hypotheses=3, seed=5, **wish)

    assert options.sampling is not None
    drawn = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 5, **wish}
    assert vars(options.sampling) == drawn
    assert options.beam_size == 3


def test_a_seed_is_drawn_only_where_one_is_needed() -> None:
    assert OptionsWish().with_seed() == OptionsWish()
    assert OptionsWish(top_k=3, seed=9).with_seed().seed == 9
    seeds = {OptionsWish(top_k=3).with_seed().seed for _ in range(10)}
    assert len(seeds) == 10


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"length_penalty": float("nan")}, "length_penalty is nan; the limit is 0.0 to 10.0"),
        ({"max_target_ratio": 0.0}, "max_target_ratio is 0.0; the limit is 0.1 to 20.0"),
        ({"min_target_tokens": 101}, "min_target_tokens is 101; the limit is 0 to 100"),
        (
            {"min_target_tokens": 9, "max_target_tokens": 8},
            "min_target_tokens is 9; the limit is 0 to 8",
        ),
        ({"repetition_penalty": 11.0}, "repetition_penalty is 11.0; the limit is 0.1 to 10.0"),
        ({"no_repeat_ngram_size": 17}, "no_repeat_ngram_size is 17; the limit is 0 to 16"),
        ({"temperature": 10.5}, "temperature is 10.5; the limit is 0.01 to 10.0"),
        ({"top_k": 0}, "top_k is 0; the limit is 1 to 10000"),
        ({"top_p": 1.01}, "top_p is 1.01; the limit is 0.01 to 1.0"),
        ({"top_p": 0.5, "seed": 2**53}, f"seed is {2**53}; the limit is 0 to {2**53 - 1}"),
        ({"temperature": 1.0, "num_hypotheses": 5}, "num_hypotheses is 5; the limit is 1 to 4"),
        (
            {"target_prefix": "x" * 100},
            "number of tokens of target_prefix is 100; the limit is 0 to 99",
        ),
        (
            {"target_prefix": "abc", "max_target_tokens": 3},
            "number of tokens of target_prefix is 3; the limit is 0 to 2",
        ),
        (
            {"suppressed_texts": ("x",) * 33},
            "number of suppressed_texts is 33; the limit is 0 to 32",
        ),
        (
            {"suppressed_texts": ("x", " ")},
            "number of tokens of suppressed_texts.1 is 0; the limit is 1 to 32",
        ),
        (
            {"suppressed_texts": ("x" * 33,)},
            "number of tokens of suppressed_texts.0 is 33; the limit is 1 to 32",
        ),
    ],
)
def test_an_option_outside_its_range_is_refused_with_value_and_limit(
    model: ServedModel, wish: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOption) as refused:
        plan(model, **wish)

    assert str(refused.value) == message
    assert refused.value.limit is not None


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"seed": 1}, "seed needs temperature, top_k or top_p beside it"),
        (
            {"temperature": 1.0, "beam_size": 2},
            "beam_size does not go with .*temperature.*: it is 2; the limit is 1",
        ),
        (
            {"return_alternatives": True, "beam_size": 4},
            "beam_size does not go with .*return_alternatives: it is 4; the limit is 1",
        ),
        (
            {"return_alternatives": True, "top_p": 0.5},
            "return_alternatives does not go with temperature, top_k and top_p",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    model: ServedModel, wish: dict[str, Any], message: str
) -> None:
    with pytest.raises(IncompatibleOptions, match=message):
        plan(model, **wish)


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"target_prefix": "\ud800"}, "target_prefix"),
        ({"suppressed_texts": ("x", "a\udfff")}, "suppressed_texts.1"),
    ],
)
def test_a_text_of_an_option_must_be_text(
    model: ServedModel, wish: dict[str, Any], name: str
) -> None:
    with pytest.raises(InvalidText, match=f"{name} has half a surrogate pair"):
        plan(model, **wish)
