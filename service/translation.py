"""What a client asks and what it gets, before any protocol gives it a shape."""

import secrets
from dataclasses import dataclass, replace
from typing import Literal, Self

from service.detect import Detection
from service.engine.options import LengthPenaltyFormula

AUTO = "auto"

FinishReason = Literal["stop", "length", "unchanged"]


@dataclass(frozen=True, kw_only=True)
class OptionsWish:
    """What a request asks of decoding; None leaves it to the service and the bundle.

    `service.engine.options` says what each does. Any of `temperature`, `top_k` and `top_p` asks for
    sampling. `target_prefix` and `suppressed_texts` are text in the target language.
    """

    beam_size: int | None = None
    num_hypotheses: int | None = None
    length_penalty: float | None = None
    length_penalty_formula: LengthPenaltyFormula | None = None
    max_target_tokens: int | None = None
    max_target_ratio: float | None = None
    min_target_tokens: int | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    suppressed_texts: tuple[str, ...] = ()
    target_prefix: str = ""
    return_alternatives: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None

    @property
    def is_sampling(self) -> bool:
        """Whether tokens are to be drawn."""
        return any(each is not None for each in (self.temperature, self.top_k, self.top_p))

    @property
    def has_beam(self) -> bool:
        """Whether hypotheses are to compete."""
        return not (self.is_sampling or self.return_alternatives)

    def with_seed(self) -> Self:
        """The same wish, with a seed if one is needed and not given."""
        if self.is_sampling and self.seed is None:
            return replace(self, seed=secrets.randbits(32))
        return self


@dataclass(frozen=True, kw_only=True)
class TranslationRequest:
    """Texts to translate; with source "auto" the language of each text is detected.

    Attributes:
        formality: how the translation addresses its reader; "default" leaves it to the model.
        log_probs: whether the tokens are told, each with its log probability.
        alignment: the same, and the token of the source that each was read from.
    """

    texts: tuple[str, ...]
    source: str
    target: str
    formality: str = "default"
    options: OptionsWish = OptionsWish()
    log_probs: bool = False
    alignment: bool = False


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of a translation.

    Attributes:
        text: what the vocabulary has for it, a space before a word included; a byte of a character
            that the vocabulary lacks is written "<0xE2>"; empty where a segment ends.
        log_prob: natural logarithm of its probability, given those before it.
        source: place in `Translation.source_pieces` of what it was read from; None where a segment
            ends, and unless the request wants an alignment.
    """

    text: str
    log_prob: float
    source: int | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One translation of a whole text.

    Attributes:
        text: translation, with the white space and the line ends of the source.
        score: sum over the segments of the scores of their hypotheses.
        finish_reason: "length" if the token limit cut any segment, "unchanged" if there was nothing
            to translate, or nothing that the model could read, "stop" otherwise.
        tokens: of all segments, in reading order; None unless the request wants log probabilities
            or an alignment.
    """

    text: str
    score: float
    finish_reason: FinishReason
    tokens: tuple[Token, ...] | None


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The translation of one text.

    Attributes:
        candidates: best first, at least one. Candidate k joins the k-th hypothesis of each segment,
            or the last one of a segment that has fewer.
        source_tokens: over all segments, without tag and `eos`.
        target_tokens: of the best candidate, over all segments, without `eos`.
        detection: only when the source is "auto".
        source_pieces: the tokens of all segments as text; None unless an alignment is wanted.
    """

    candidates: tuple[Candidate, ...]
    source_tokens: int
    target_tokens: int
    detection: Detection | None
    source_pieces: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class TranslationReply:
    """Translations in the order of the texts, and where the time went.

    Attributes:
        translations: one for each text.
        seed: what was drawn with; only after sampling.
        total_seconds: from the request to the reply.
        queue_seconds: waiting time of the segment that waited longest.
        decode_seconds: decoding time of the segment that took longest.
    """

    translations: tuple[Translation, ...]
    seed: int | None
    total_seconds: float
    queue_seconds: float
    decode_seconds: float
