"""A text on its way: cut into segments, a job for each, and joined again from their results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from service.characters import check_characters
from service.detect import Detection, Detector
from service.engine.job import Hypothesis, Job, JobResult
from service.errors import TextTooLong, TooManyTexts, TooManyTokens
from service.options import OptionsPlan, plan_options
from service.segment import SegmentedText, segment_text
from service.served_model import ServedModel
from service.settings import Settings
from service.translation import (
    AUTO,
    Candidate,
    FinishReason,
    Token,
    Translation,
    TranslationRequest,
)

_NUM_SPECIAL = 3  # before a segment the language tag and perhaps a mark, `eos` behind it


class Tokenizer(Protocol):
    """What requests need of `service.tokenizer.Tokenizer`; any thread may call it."""

    def encode(self, text: str) -> list[int]:
        """Turn a text without lone surrogates into token ids, without special ones."""

    def knows(self, character: str) -> bool:
        """Say whether the model has learnt to read a character."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Turn token ids into text."""

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """Turn each token id into its text."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One text, between request and reply.

    Attributes:
        text: as the client sent it.
        source: code of its language, given or detected.
        target: code of the language wanted.
        detection: only when the source is "auto".
        segmented: what goes to the engine, and what stays as it is.
        jobs: one for each segment.
        log_probs: whether the translation tells its tokens.
        alignment: whether it tells those of the source, too, and which was read for which.
    """

    text: str
    source: str
    target: str
    detection: Detection | None
    segmented: SegmentedText
    jobs: tuple[Job, ...]
    log_probs: bool
    alignment: bool

    def finish(self, results: Sequence[JobResult], tokenizer: Tokenizer) -> Translation:
        """Join the results of the jobs, in their order, to the translation of the text."""
        ranked = [result.hypotheses for result in results]
        num_candidates = max(map(len, ranked), default=1)
        rows = [[hyps[min(k, len(hyps) - 1)] for hyps in ranked] for k in range(num_candidates)]
        source_pieces = None
        if self.alignment:
            texts = (tokenizer.pieces(segment.token_ids) for segment in self.segmented.segments)
            source_pieces = tuple(chain.from_iterable(texts))
        return Translation(
            candidates=tuple(self._join(row, tokenizer) for row in rows),
            source_tokens=sum(len(segment.token_ids) for segment in self.segmented.segments),
            target_tokens=sum(len(hypothesis.token_ids) for hypothesis in rows[0]),
            detection=self.detection,
            source_pieces=source_pieces,
        )

    def _join(self, hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer) -> Candidate:
        finish_reason: FinishReason = "stop" if hypotheses else "unchanged"
        if any(hypothesis.finish_reason == "length" for hypothesis in hypotheses):
            finish_reason = "length"
        texts = [tokenizer.decode(hypothesis.token_ids) for hypothesis in hypotheses]
        tokens = None
        if self.log_probs or self.alignment:
            tokens = tuple(self._tokens(hypotheses, tokenizer))
        return Candidate(
            text=self.segmented.join(texts),
            score=sum(hypothesis.score for hypothesis in hypotheses),
            finish_reason=finish_reason,
            tokens=tokens,
        )

    def _tokens(self, hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer) -> Iterator[Token]:
        """The tokens of all segments; the end of one, where it was chosen, is one without text."""
        first = 0  # place of the segment's first token among those of the text
        for segment, hypothesis in zip(self.segmented.segments, hypotheses, strict=True):
            texts = tokenizer.pieces(hypothesis.token_ids)
            sources: list[int | None] = [None] * len(texts)
            if hypothesis.alignment is not None:
                sources = [first + place for place in hypothesis.alignment]
            if hypothesis.finish_reason == "stop":
                texts.append("")
                sources.append(None)
            each = zip(texts, hypothesis.token_log_probs, sources, strict=True)
            for text, log_prob, source in each:
                yield Token(text=text, log_prob=log_prob, source=source)
            first += len(segment.token_ids)


def jobs_of(drafts: Sequence[Draft]) -> list[Job]:
    """All jobs, in the order of the texts and their segments."""
    return [job for draft in drafts for job in draft.jobs]


class Drafter:
    """Checks requests against the limits, and turns their texts into drafts.

    Attributes:
        model: what the drafts are for.
    """

    def __init__(
        self, model: ServedModel, tokenizer: Tokenizer, detector: Detector, settings: Settings
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._detector = detector
        self._settings = settings

    def draft(self, request: TranslationRequest, deadline: float) -> list[Draft]:
        """Draft every text; nothing is submitted yet. It may take long: not on the event loop.

        Args:
            request: in any of the protocols.
            deadline: `time.monotonic()` value after which nobody wants the answer.

        Raises:
            RequestError: if a language, an option, a text or a sentence is not acceptable.
            RequestTooLarge: if there are more characters or tokens than we take at once.
        """
        self._check(request)
        plan = plan_options(request.options, self.model, self._settings, self._tokenizer.encode)
        drafts = [self._draft_text(text, request, plan, deadline) for text in request.texts]
        num_tokens = sum(len(job.source_ids) for job in jobs_of(drafts))
        if num_tokens > self._settings.max_queue_tokens:
            raise TooManyTokens(value=num_tokens, limit=self._settings.max_queue_tokens)
        return drafts

    def decode(self, token_ids: Sequence[int]) -> str:
        """Turn target tokens into text."""
        return self._tokenizer.decode(token_ids)

    def finish(
        self, drafts: Sequence[Draft], results: Sequence[JobResult]
    ) -> tuple[Translation, ...]:
        """Join the results of all jobs, in the order of the jobs; not on the event loop either."""
        remaining = iter(results)
        return tuple(
            draft.finish([next(remaining) for _ in draft.jobs], self._tokenizer) for draft in drafts
        )

    def _check(self, request: TranslationRequest) -> None:
        if request.source != AUTO:
            self.model.check_language(request.source)
        self.model.check_language(request.target)
        if len(request.texts) > self._settings.max_texts:
            raise TooManyTexts(value=len(request.texts), limit=self._settings.max_texts)
        num_characters = sum(map(len, request.texts))
        if num_characters > self._settings.max_text_characters:
            raise TextTooLong(value=num_characters, limit=self._settings.max_text_characters)
        for index, text in enumerate(request.texts):
            check_characters(text, f"texts.{index}")

    def _draft_text(
        self, text: str, request: TranslationRequest, plan: OptionsPlan, deadline: float
    ) -> Draft:
        detection = self._detector.rank(text)[0] if request.source == AUTO else None
        source = detection.language if detection else request.source
        segmented = self._segment(text, source, request)
        jobs = []
        for index, segment in enumerate(segmented.segments):
            control_ids = self.model.control_ids(source, request.target, request.formality)
            aligned = range(len(control_ids), len(control_ids) + len(segment.token_ids))
            jobs.append(
                Job(
                    source_ids=(*control_ids, *segment.token_ids, self.model.eos_id),
                    options=plan.of_segment(index, len(segment.token_ids)),
                    deadline=deadline,
                    aligned=aligned if request.alignment else None,
                )
            )
        return Draft(
            text=text,
            source=source,
            target=request.target,
            detection=detection,
            segmented=segmented,
            jobs=tuple(jobs),
            log_probs=request.log_probs,
            alignment=request.alignment,
        )

    def _segment(self, text: str, source: str, request: TranslationRequest) -> SegmentedText:
        if source == request.target:  # one gap: it stays as it is
            return SegmentedText(segments=(), gaps=(text,))
        # Refuse what the model does not have, even for an empty text.
        self.model.control_ids(source, request.target, request.formality)
        return segment_text(
            text,
            source,
            encode=self._tokenizer.encode,
            knows=self._tokenizer.knows,
            max_tokens=self.model.max_source_tokens - _NUM_SPECIAL,
        )
