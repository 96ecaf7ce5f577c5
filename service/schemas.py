"""The bodies of the native API, and how they are read."""

import json
from dataclasses import asdict
from typing import Annotated, Any, NoReturn, Self

from pydantic import BaseModel, Field, ValidationError

from service.errors import InvalidRequest
from service.options_body import Body, OptionsBody
from service.served_model import ServedModel
from service.translation import (
    AUTO,
    Candidate,
    FinishReason,
    Translation,
    TranslationReply,
    TranslationRequest,
)

LanguageCode = Annotated[str, Field(min_length=1, max_length=32, examples=["de"])]


class TranslateBody(Body):
    """What `POST /v1/translate` takes."""

    texts: list[str] = Field(min_length=1, examples=[["Das Wetter ist heute sehr schön."]])
    source: LanguageCode = Field(
        default=AUTO, description='language code; "auto" detects it per text'
    )
    target: LanguageCode = Field(examples=["en"])
    formality: str = Field(
        default="default",
        examples=["formal"],
        description='how to address the reader: "default", or "formal" and "informal" where '
        "`GET /v1/models` lists them for the target",
    )
    options: OptionsBody = OptionsBody()
    log_probs: bool = Field(
        default=False,
        description="tell the tokens of every translation, each with its log probability",
    )
    alignment: bool = Field(
        default=False,
        description="the same, and which token of the text each one was read from",
    )
    stream: bool = Field(
        default=False, description="send the translations as they come, as server-sent events"
    )

    def to_request(self) -> TranslationRequest:
        """Turn this into what every protocol asks."""
        return TranslationRequest(
            texts=tuple(self.texts),
            source=self.source,
            target=self.target,
            formality=self.formality,
            options=self.options.to_wish(),
            log_probs=self.log_probs,
            alignment=self.alignment,
        )


class TokenReply(BaseModel):
    """One token of a translation."""

    text: str = Field(
        description="with the space before a word; a byte of a character that the vocabulary lacks "
        'is written "<0xE2>"; empty where a sentence ends'
    )
    log_prob: float = Field(
        description="natural logarithm of its probability, given the tokens before it"
    )
    source: int | None = Field(
        default=None,
        description="which of source_pieces it was read from, counted from 0; only with alignment, "
        "and not where a sentence ends",
    )


class CandidateReply(BaseModel):
    """One translation of a text."""

    text: str
    score: float
    finish_reason: FinishReason
    tokens: list[TokenReply] | None = Field(
        default=None,
        description="of all sentences, in reading order; only with log_probs or alignment",
    )

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        """Write a candidate."""
        tokens = None
        if candidate.tokens is not None:
            tokens = [TokenReply(**asdict(token)) for token in candidate.tokens]
        return cls(
            text=candidate.text,
            score=candidate.score,
            finish_reason=candidate.finish_reason,
            tokens=tokens,
        )


class TextReply(CandidateReply):
    """The translation of one text.

    `score` is the sum, over the sentences, of log probability / length ** length_penalty, or what
    length_penalty_formula says.
    `finish_reason` is "length" when the token limit cut any sentence, and "unchanged" when there
    was nothing to translate: the text is in the target language already, it has no letter, or most
    of its letters are of scripts that the model does not know.
    """

    source_tokens: int
    target_tokens: int
    detected_source: str | None = Field(default=None, description="only when the source is auto")
    source_pieces: tuple[str, ...] | None = Field(
        default=None, description="the tokens of the text, without its gaps; only with alignment"
    )
    alternatives: list[CandidateReply] | None = Field(
        default=None, description="only when num_hypotheses is above 1"
    )

    @classmethod
    def of_translation(cls, translation: Translation) -> Self:
        """Write the translation of one text; its best candidate comes first."""
        best, *others = translation.candidates
        return cls(
            **CandidateReply.of(best).model_dump(),
            source_tokens=translation.source_tokens,
            target_tokens=translation.target_tokens,
            detected_source=translation.detection.language if translation.detection else None,
            source_pieces=translation.source_pieces,
            alternatives=[CandidateReply.of(other) for other in others] or None,
        )


class TimingsReply(BaseModel):
    """Where the time of a request went, in seconds.

    Its sentences wait and decode side by side: `queue_seconds` and `decode_seconds` are those of
    the slowest one.
    """

    total_seconds: float
    queue_seconds: float
    decode_seconds: float


class TranslateReply(BaseModel):
    """What `POST /v1/translate` answers; translations are in the order of the texts."""

    model: str
    translations: list[TextReply]
    seed: int | None = Field(
        default=None, description="only after sampling; sent again, it gives the same reply"
    )
    timings: TimingsReply

    @classmethod
    def of(cls, model: ServedModel, reply: TranslationReply) -> Self:
        """Write a reply."""
        return cls(
            model=model.name,
            translations=[TextReply.of_translation(t) for t in reply.translations],
            seed=reply.seed,
            timings=TimingsReply(
                total_seconds=reply.total_seconds,
                queue_seconds=reply.queue_seconds,
                decode_seconds=reply.decode_seconds,
            ),
        )


class LanguageReply(BaseModel):
    """A language and what it can be translated to."""

    code: str
    name: str
    targets: list[str]
    formalities: list[str] = Field(
        description="forms of address that can be asked for in this language"
    )


class ModelReply(BaseModel):
    """What is served."""

    name: str
    version: str
    sha256: str
    precision: str
    languages: list[LanguageReply]
    scores: dict[str, Any]

    @classmethod
    def of(cls, model: ServedModel) -> Self:
        """Write what is served."""
        return cls(
            name=model.name,
            version=model.version,
            sha256=model.sha256,
            precision=model.precision,
            languages=[
                LanguageReply(
                    code=code,
                    name=name,
                    targets=model.targets_of(code),
                    formalities=model.formalities_of(code),
                )
                for code, name in model.languages.items()
            ],
            scores=dict(model.scores),
        )


class ModelsReply(BaseModel):
    """What `GET /v1/models` answers."""

    models: list[ModelReply]


class StatusReply(BaseModel):
    """What a probe answers."""

    status: str


def parse_json(body: bytes) -> Any:
    """Read JSON of any content type.

    Raises:
        InvalidRequest: if the body is no JSON; the message says where.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidRequest(f"the body is no valid JSON: {reason}") from None


def read_translate_body(body: bytes) -> TranslateBody:
    """Read the body of `POST /v1/translate`.

    Raises:
        InvalidRequest: if it is no JSON, or a field is missing, unknown or of a wrong type.
    """
    try:
        return TranslateBody.model_validate(parse_json(body))
    except ValidationError as error:
        raise InvalidRequest(explain_fields(error.errors())) from None


def explain_fields(errors: list[Any]) -> str:
    """Name the first few wrong fields and what is wrong, without repeating what they hold."""
    explained = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in errors[:3]]
    return "; ".join(explained) + (f"; and {len(errors) - 3} more" if len(errors) > 3 else "")


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that is read by hand for OpenAPI, with nested objects written out."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, field in schema["properties"].items():
        if "$ref" in field:
            schema["properties"][name] = definitions[field["$ref"].rpartition("/")[2]]
    return schema


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
