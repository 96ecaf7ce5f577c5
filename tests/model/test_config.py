import dataclasses
import json

import pytest

from model.config import ModelConfig, TrainConfig
from tests.model.conftest import MakeConfig

SIZES = {
    "vocab_size": 100,
    "d_model": 16,
    "d_ff": 32,
    "num_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 1,
}


def test_a_model_config_survives_json(make_config: MakeConfig) -> None:
    config = make_config(norm="post", dropout=0.2, tie_output=False)

    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_train_config_survives_json() -> None:
    config = TrainConfig(seed=7, precision="float32", compile=True)

    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_cannot_be_changed(make_config: MakeConfig) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().d_model = 8  # type: ignore[misc]


def test_head_dim_is_the_share_of_one_head() -> None:
    assert ModelConfig.from_dict(SIZES).head_dim == 4


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"ModelConfig knows no \['nhead'\]"):
        ModelConfig.from_dict({**SIZES, "nhead": 4})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValueError, match=r"ModelConfig needs \['d_ff'\]"):
        ModelConfig.from_dict({key: value for key, value in SIZES.items() if key != "d_ff"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("d_model", "16"),
        ("d_model", 16.0),
        ("d_model", True),
        ("tie_output", 1),
        ("dropout", "0.1"),
        ("dropout", True),
        ("norm", "middle"),
        ("attention", None),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_key(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"ModelConfig\.{key} is {value!r}"):
        ModelConfig.from_dict({**SIZES, key: value})


def test_a_whole_number_may_stand_for_a_float() -> None:
    dropout = ModelConfig.from_dict({**SIZES, "dropout": 0}).dropout

    assert (dropout, type(dropout)) == (0.0, float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", 0),
        ("d_ff", 0),
        ("num_heads", 0),
        ("num_heads", 3),
        ("num_encoder_layers", 0),
        ("num_decoder_layers", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
    ],
)
def test_a_model_that_cannot_be_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key}.*{value}|{value}.*{key}"):
        ModelConfig.from_dict({**SIZES, key: value})


def test_an_odd_d_model_is_refused() -> None:
    with pytest.raises(ValueError, match="d_model is 15; it must be even"):
        ModelConfig.from_dict({**SIZES, "d_model": 15, "num_heads": 3})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_tokens", 0),
        ("accumulation", 0),
        ("max_updates", 0),
        ("warmup_updates", 0),
        ("validate_every", 0),
        ("log_every", 0),
        ("keep_best", 0),
        ("average_last", 0),
        ("peak_learning_rate", 0.0),
        ("cooldown_updates", -1),
        ("final_updates", -1),
        ("label_smoothing", 1.0),
        ("consistency", -1.0),
        ("clip_norm", -1.0),
        ("patience", -1),
    ],
)
def test_a_training_that_cannot_be_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}"):
        TrainConfig.from_dict({key: value})


def test_a_cool_down_from_the_first_update_is_refused() -> None:
    """Its rate would fall from the rate before the first update, which is zero."""
    with pytest.raises(ValueError, match="cooldown_updates is 10"):
        TrainConfig(max_updates=10, cooldown_updates=10)
