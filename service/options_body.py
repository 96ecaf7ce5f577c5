"""The decoding options of the native API, as they are written and documented."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.translation import OptionsWish


class Body(BaseModel):
    """A JSON object: no unknown keys, no conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OptionsBody(Body):
    """How to decode; what is left out is decided by the service and the bundle."""

    beam_size: int | None = Field(
        default=None, description="hypotheses that compete with each other; 1 is greedy"
    )
    num_hypotheses: int | None = Field(
        default=None, description="translations of each text, best first; at most beam_size"
    )
    length_penalty: float | None = Field(
        default=None,
        description="p in score / length ** p, 0 to 10; higher favours longer translations",
    )
    length_penalty_formula: Literal["plain", "gnmt"] | None = Field(
        default=None, description="plain; or gnmt, with (5 + length) / 6 in the place of length"
    )
    max_target_tokens: int | None = Field(
        default=None,
        description="limit for the translation of one sentence; finish_reason says if it cut",
    )
    max_target_ratio: float | None = Field(
        default=None,
        description="the same limit as 16 + ratio * tokens of the sentence; ratio is 0.1 to 20",
    )
    min_target_tokens: int | None = Field(
        default=None, description="so many tokens has the translation of one sentence at least"
    )
    repetition_penalty: float | None = Field(
        default=None,
        description="above 1, tokens that a translation has already get less likely; 0.1 to 10",
    )
    no_repeat_ngram_size: int | None = Field(
        default=None, description="no run of so many tokens comes twice; 0 to 16, 0 lets them"
    )
    suppressed_texts: list[str] = Field(
        default=[],
        description="up to 32 words or phrases to avoid, by their tokens behind a space: another "
        "spelling is another text, and longer words may go with them",
    )
    target_prefix: str = Field(
        default="", description="what the translation of each text begins with"
    )
    return_alternatives: bool = Field(
        default=False,
        description="num_hypotheses translations with different tokens behind target_prefix, each "
        "gone on from greedily; without beam_size",
    )
    temperature: float | None = Field(
        default=None,
        description="draw num_hypotheses samples instead of searching, without beam_size; "
        "0.01 to 10, below 1 favours likely tokens",
    )
    top_k: int | None = Field(
        default=None, description="draw among so many of the likeliest tokens; 1 to 10000"
    )
    top_p: float | None = Field(
        default=None,
        description="draw among the likeliest tokens that have this share together; 0.01 to 1",
    )
    seed: int | None = Field(
        default=None,
        description="draws the same again in any company; below 2 ** 53, and told in the reply",
    )

    def to_wish(self) -> OptionsWish:
        """Turn this into what every protocol asks."""
        given = self.model_dump()
        return OptionsWish(**{**given, "suppressed_texts": tuple(self.suppressed_texts)})
