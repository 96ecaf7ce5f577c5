"""What a client asks and what it gets, before any protocol gives it a shape."""

from dataclasses import dataclass
from typing import Literal

from service.detect import Detection

AUTO = "auto"

FinishReason = Literal["stop", "length", "unchanged"]


@dataclass(frozen=True, kw_only=True)
class OptionsWish:
    """What a request asks of decoding; None leaves it to the service and the bundle."""

    beam_size: int | None = None
    num_hypotheses: int | None = None
    length_penalty: float | None = None
    max_target_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class TranslationRequest:
    """Texts to translate; with source "auto" the language of each text is detected.

    Attributes:
        formality: how the translation addresses its reader; "default" leaves it to the model.
    """

    texts: tuple[str, ...]
    source: str
    target: str
    formality: str = "default"
    options: OptionsWish = OptionsWish()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One translation of a whole text.

    Attributes:
        text: translation, with the white space and the line ends of the source.
        score: sum over the segments of log probability / length ** length_penalty.
        finish_reason: "length" if the token limit cut any segment, "unchanged" if there was nothing
            to translate, "stop" otherwise.
    """

    text: str
    score: float
    finish_reason: FinishReason


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The translation of one text.

    Attributes:
        candidates: best first, at least one. Candidate k joins the k-th hypothesis of each segment,
            or the last one of a segment that has fewer.
        source_tokens: over all segments, without tag and `eos`.
        target_tokens: of the best candidate, over all segments, without `eos`.
        detection: only when the source is "auto".
    """

    candidates: tuple[Candidate, ...]
    source_tokens: int
    target_tokens: int
    detection: Detection | None


@dataclass(frozen=True, kw_only=True)
class TranslationReply:
    """Translations in the order of the texts, and where the time went.

    Attributes:
        translations: one for each text.
        total_seconds: from the request to the reply.
        queue_seconds: waiting time of the segment that waited longest.
        decode_seconds: decoding time of the segment that took longest.
    """

    translations: tuple[Translation, ...]
    total_seconds: float
    queue_seconds: float
    decode_seconds: float
