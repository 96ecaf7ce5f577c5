"""Frozen configurations: what fixes the weights, and how they were made."""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

NormPosition = Literal["pre", "post"]
AttentionKernel = Literal["fused", "plain"]
Precision = Literal["auto", "float32", "bfloat16"]
OptimizerName = Literal["adamw", "muon"]

# Not `typing.Self`: the import hook that checks shapes in tests cannot read it in a method.
AnyConfig = TypeVar("AnyConfig", bound="Config")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every configuration can do: be checked, and go to and from plain data."""

    @classmethod
    def from_dict(cls: type[AnyConfig], values: dict[str, Any]) -> AnyConfig:
        """Build from plain data, such as a TOML table or JSON object.

        Raises:
            ValueError: on a key that no field has, a missing key, or a value of the wrong type.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"{cls.__name__} knows no {unknown}; it knows {sorted(fields)}")
        missing = sorted(
            name
            for name, field in fields.items()
            if name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        )
        if missing:
            raise ValueError(f"{cls.__name__} needs {missing}")
        hints = typing.get_type_hints(cls)
        return cls(**{key: _coerce(cls, key, hints[key], value) for key, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """The same values as plain data."""
        return dataclasses.asdict(self)


def _coerce(cls: type, key: str, hint: Any, value: Any) -> Any:
    """Check `value` against a field's type; lists become tuples, whole numbers floats."""
    allowed = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        if value not in allowed:
            raise ValueError(f"{cls.__name__}.{key} is {value!r}; it must be one of {allowed}")
        return value
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{cls.__name__}.{key} is {value!r}; it must be a list")
        return tuple(_coerce(cls, key, allowed[0], item) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{cls.__name__}.{key} is {value!r}; it must be {hint.__name__}")
    return value


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """Sizes and shape of a Transformer; together with the weights it is the model.

    Attributes:
        norm: "pre" normalises the input of each sub-layer, "post" its sum with the
            residual, as the paper does (section 3.1).
        dropout: of each sub-layer's output and of the embedded input (section 5.4).
        tie_output: the output projection is the embedding matrix (section 3.4).
        attention: "fused" calls `F.scaled_dot_product_attention`, "plain" spells it out.
    """

    vocab_size: int
    d_model: int
    d_ff: int
    num_heads: int
    num_encoder_layers: int
    num_decoder_layers: int
    norm: NormPosition = "pre"
    dropout: float = 0.1
    tie_output: bool = True
    attention: AttentionKernel = "fused"
    pad_id: int = 0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "d_ff", "num_heads"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; at least 1")
        for name in ("num_encoder_layers", "num_decoder_layers"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; at least 1")
        require(
            self.d_model % self.num_heads == 0,
            f"d_model is {self.d_model}; it must be a multiple of num_heads, {self.num_heads}",
        )
        require(self.d_model % 2 == 0, f"d_model is {self.d_model}; it must be even")
        require(0.0 <= self.dropout < 1.0, f"dropout is {self.dropout}; it must be in [0, 1)")

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.d_model // self.num_heads


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """How weights are made from examples.

    Attributes:
        batch_tokens: budget of a batch in padded tokens, the larger of its two sides.
        accumulation: batches summed into one update, shared out among the processes, so that
            their number does not matter.
        max_updates: where the schedule ends.
        warmup_updates, peak_learning_rate, plateau, cooldown_updates: see `model.schedule`.
        final_updates: how many of the last updates draw pairs by `CorpusConfig.final_weight`.
        label_smoothing: share of probability spread over the vocabulary (section 5.4).
        consistency: R-Drop's alpha (5 in its paper): each batch passes twice, with different
            dropout, and what the two predict must agree. 0 passes it once.
        clip_norm: largest norm of the gradient of one update; 0 leaves it alone.
        validate_every, log_every: in updates.
        keep_best: checkpoints kept, best validation BLEU first.
        average_last: checkpoints averaged at the end, the last ones written.
        patience: validations without a better BLEU before training stops; 0 never stops.
        precision: of the matrix products (autocast), weights stay float32; "auto" takes
            bfloat16 where the hardware has it.
        optimizer: "muon" moves the matrices of the layers by `model.muon`, the rest by AdamW.
        compile: run `torch.compile` on each layer, of which all share the code.
    """

    seed: int = 1
    batch_tokens: int = 4096
    accumulation: int = 1
    max_updates: int = 100_000
    warmup_updates: int = 4000
    peak_learning_rate: float = 7e-4
    plateau: bool = False
    cooldown_updates: int = 0
    final_updates: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    consistency: float = 0.0
    clip_norm: float = 1.0
    validate_every: int = 1000
    log_every: int = 50
    keep_best: int = 3
    average_last: int = 5
    patience: int = 0
    precision: Precision = "auto"
    optimizer: OptimizerName = "adamw"
    compile: bool = False

    def __post_init__(self) -> None:
        counts = ("batch_tokens", "accumulation", "max_updates", "warmup_updates")
        for name in (*counts, "validate_every", "log_every", "keep_best", "average_last"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; at least 1")
        require(self.peak_learning_rate > 0, f"peak_learning_rate is {self.peak_learning_rate}")
        for name in ("cooldown_updates", "final_updates"):
            updates = getattr(self, name)
            require(
                0 <= updates < self.max_updates,
                f"{name} is {updates}; below max_updates, {self.max_updates}",
            )
        require(0 <= self.label_smoothing < 1, f"label_smoothing is {self.label_smoothing}")
        require(self.consistency >= 0, f"consistency is {self.consistency}; not negative")
        require(self.clip_norm >= 0, f"clip_norm is {self.clip_norm}; it must not be negative")
        require(self.patience >= 0, f"patience is {self.patience}; it must not be negative")
