"""Every knob of the service, read from `DRAGOMAN_*`.

Built once in `service.__main__` and passed down; the engine sees `EngineLimits` only.
"""

import difflib
import os
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.engine.limits import ENCODE_TOKENS, GPU_ENCODE_TOKENS, EngineLimits
from service.errors import SettingsError
from service.machine import available_cpus

PREFIX = "DRAGOMAN_"
DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "default"


class Settings(BaseSettings):
    """What an operator may choose; each field is the variable `DRAGOMAN_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port; 0 takes any free one")
    bundle: Path = Field(
        default=DEFAULT_BUNDLE,
        description="folder of the exported model; default: the one that is shipped",
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="what runs the graphs; auto takes a GPU (CUDA) where there is one and the "
        "bundle has float16 graphs",
    )
    precision: Literal["auto", "int8", "float32", "float16"] = Field(
        default="auto",
        description="graphs to run; auto takes float16 on a GPU, and int8 on CPUs where the "
        "bundle has it",
    )
    threads: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="workers that decode, a core each; default: the CPUs this process may use; on "
        "a GPU there is one",
    )

    slots: int = Field(
        default=32, ge=1, le=1_024, description="hypotheses that one worker decodes together"
    )
    cache_tokens: int = Field(
        default=8_192,
        ge=32,
        le=16_777_216,
        description="target tokens that one worker has memory for; long sentences leave room "
        "for fewer beside them",
    )
    beam_size: int = Field(
        default=4,
        ge=1,
        le=64,
        description="live hypotheses a segment, when the request asks for none",
    )
    max_beam_size: int = Field(
        default=8, ge=1, le=64, description="largest beam a request may ask for"
    )
    max_alternatives: int = Field(
        default=3,
        ge=0,
        le=63,
        description="most alternatives a request may ask for, besides the best",
    )
    max_source_tokens: int = Field(
        default=256, ge=8, le=4_096, description="tokens of a segment; longer sentences are split"
    )
    max_target_tokens: int = Field(
        default=512, ge=8, le=1_024, description="tokens of the translation of one segment"
    )
    max_queue_tokens: int = Field(
        default=32_768,
        ge=8,
        le=100_000_000,
        description="source tokens waiting; above it the answer is 429",
    )

    max_texts: int = Field(default=128, ge=1, le=100_000, description="texts of one request")
    max_text_characters: int = Field(
        default=50_000, ge=1, le=100_000_000, description="characters of all texts of one request"
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, le=1_073_741_824, description="bytes of a request body"
    )
    timeout_seconds: float = Field(
        default=30.0,
        ge=0.001,
        le=3_600.0,
        description="seconds after which a request is given up (504)",
    )
    drain_seconds: float = Field(
        default=25.0,
        ge=0.0,
        le=3_600.0,
        description="seconds to finish open requests when stopping",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is logged"
    )
    traces_url: str = Field(
        default="none",
        pattern=r"^(none|https?://\S+)$",
        description="where spans are sent by OTLP over HTTP, such as "
        "http://127.0.0.1:4318/v1/traces",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for name, value, limit_name, limit in (
            ("BEAM_SIZE", self.beam_size, "MAX_BEAM_SIZE", self.max_beam_size),
            ("MAX_BEAM_SIZE", self.max_beam_size, "SLOTS", self.slots),
            (
                "MAX_ALTERNATIVES",
                self.max_alternatives,
                "MAX_BEAM_SIZE - 1",
                self.max_beam_size - 1,
            ),
            (
                "MAX_SOURCE_TOKENS",
                self.max_source_tokens,
                "MAX_QUEUE_TOKENS",
                self.max_queue_tokens,
            ),
        ):
            if value > limit:
                raise ValueError(
                    f"{PREFIX}{name} is {value}; the limit is {PREFIX}{limit_name}, {limit}"
                )
        return self

    def engine_limits(self, max_source_tokens: int, device: str = "cpu") -> EngineLimits:
        """Pick what the engine needs to know.

        Args:
            max_source_tokens: what the model was made for; the setting can only lower it.
            device: "cpu" or "cuda".
        """
        return EngineLimits(
            num_workers=1 if device == "cuda" else self.threads,
            encode_tokens=GPU_ENCODE_TOKENS if device == "cuda" else ENCODE_TOKENS,
            max_slots=self.slots,
            max_cache_tokens=self.cache_tokens,
            max_source_tokens=min(self.max_source_tokens, max_source_tokens),
            max_target_tokens=self.max_target_tokens,
            max_queue_tokens=self.max_queue_tokens,
            max_beam_size=self.max_beam_size,
        )


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; what the command line gives comes first.

    Args:
        overrides: fields by name; None stands for "not given".

    Raises:
        SettingsError: if a `DRAGOMAN_*` variable is unknown, or a value is outside its range.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    _refuse_strangers()
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_explain, error.errors()))) from None


def _refuse_strangers() -> None:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
            raise SettingsError(f"unknown variable {name}; did you mean {near[0]}?")


def _explain(error: Any) -> str:
    if not error["loc"]:  # from `_fit_together`, which names the variables itself
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    wanted = describe_range(Settings.model_fields[name])
    return f"{PREFIX}{name.upper()} is {error['input']!r}; it must be {wanted}"


def describe_range(field: FieldInfo) -> str:
    """Say in words what a field takes, for error messages and the table in the README."""
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if any(getattr(item, "pattern", None) for item in field.metadata):
        return "an http address, or none"
    bounds = [getattr(item, bound, None) for bound in ("ge", "le") for item in field.metadata]
    low, high = ([bound for bound in bounds if bound is not None] + [None, None])[:2]
    if low is None or high is None:
        return "a path" if field.annotation is Path else "text"
    kind = "a whole number" if field.annotation is int else "a number"
    return f"{kind} from {low} to {high}"
