"""One request: draft, submit, await, join."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from opentelemetry.trace import get_current_span

from service.draft import Draft, Drafter, jobs_of
from service.engine.job import Job, JobResult
from service.errors import DeadlineExceeded
from service.loops import is_loop
from service.metrics import RequestMetrics
from service.relay import Relay
from service.served_model import ServedModel
from service.streaming import Event
from service.translation import Translation, TranslationReply, TranslationRequest


class JobSink(Protocol):
    """What takes jobs: `service.engine.loop.Engine`."""

    def check_room(self, client: str, deadline: float) -> None:
        """Raise what `submit` would raise for want of room for any job of `client`."""

    def submit(self, job: Job) -> None:
        """Take a job, from any thread, or raise QueueFull, WaitTooLong or EngineStopped."""


class Translator:
    """Answers requests from one engine.

    Args:
        drafter: turns requests into jobs.
        engine: resolves the future of each job.
        timeout_seconds: for a request as a whole.
        metrics: counts texts, sentences and their times.
    """

    def __init__(
        self, drafter: Drafter, engine: JobSink, *, timeout_seconds: float, metrics: RequestMetrics
    ) -> None:
        self._drafter = drafter
        self._engine = engine
        self._timeout_seconds = timeout_seconds
        self._metrics = metrics

    @property
    def model(self) -> ServedModel:
        """What translates."""
        return self._drafter.model

    async def translate(self, request: TranslationRequest, client: str = "") -> TranslationReply:
        """Translate every text of a request, or none; `client` gets its fair share of the engine.

        When the caller is cancelled or a job fails, the jobs that are still open are cancelled.

        Raises:
            RequestError, RequestTooLarge: see `Drafter.draft`.
            QueueFull, WaitTooLong, EngineStopped, EngineFailure: as the engine says.
            DeadlineExceeded: after `timeout_seconds`.
        """
        started = time.monotonic()
        request = replace(request, options=request.options.with_seed())
        drafts = await self._draft(request, client, started)
        with self._submitted(drafts) as jobs:
            results = await self._gather(jobs, started)
        return await self._reply(request, drafts, results, started)

    async def stream(
        self, request: TranslationRequest, client: str = ""
    ) -> AsyncGenerator[Event | TranslationReply, None]:
        """Yield a translation as it comes; at last the whole reply.

        What is wrong with the request is raised before the first event, what fails later
        between two. When the generator is closed, the jobs that are open are cancelled.

        Raises:
            ServiceError: see `translate`.
        """
        started = time.monotonic()
        request = replace(request, options=request.options.with_seed())
        drafts = await self._draft(request, client, started)
        relay = Relay(drafts, self._drafter.decode)
        with self._submitted(drafts) as jobs:
            work = asyncio.ensure_future(self._gather(jobs, started))
            work.add_done_callback(lambda _: relay.close())
            try:
                async for event in relay:
                    yield event
                results = await work
            finally:
                work.cancel()
        yield await self._reply(request, drafts, results, started)

    async def _draft(
        self, request: TranslationRequest, client: str, started: float
    ) -> Sequence[Draft]:
        deadline = started + self._timeout_seconds
        self._engine.check_room(client, deadline)  # a refusal must not wait for threads
        # Long texts take long to cut and to join: both happen off the event loop.
        drafts = await asyncio.to_thread(self._drafter.draft, request, deadline)
        ticket = object()  # equal to nothing but itself, as two equal requests are two
        for job in jobs_of(drafts):
            job.client, job.request = client, ticket
        return drafts

    async def _reply(
        self,
        request: TranslationRequest,
        drafts: Sequence[Draft],
        results: Sequence[JobResult],
        started: float,
    ) -> TranslationReply:
        translations = await asyncio.to_thread(self._finish, drafts, results, started)
        reply = TranslationReply(
            translations=translations,
            seed=request.options.seed,
            total_seconds=time.monotonic() - started,
            queue_seconds=max((result.queue_seconds for result in results), default=0.0),
            decode_seconds=max((result.decode_seconds for result in results), default=0.0),
        )
        _annotate_span(reply)
        return reply

    def _finish(
        self, drafts: Sequence[Draft], results: Sequence[JobResult], started: float
    ) -> tuple[Translation, ...]:
        """Join the results, and count what was done; not on the event loop either."""
        translations = self._drafter.finish(drafts, results)
        answers = list(zip(jobs_of(drafts), results, strict=True))
        if answers:
            first = min(job.submitted_at + result.first_token_seconds for job, result in answers)
            self._metrics.observe_first_token(first - started)
        remaining = iter(answers)
        for draft, translation in zip(drafts, translations, strict=True):
            self._count(draft, translation, [next(remaining) for _ in draft.jobs])
        return translations

    def _count(
        self, draft: Draft, translation: Translation, answers: Sequence[tuple[Job, JobResult]]
    ) -> None:
        pair = f"{draft.source}-{draft.target}"
        for job, result in answers:
            best = result.hypotheses[0]
            repeats = is_loop(best.token_ids) and not is_loop(job.source_ids)
            self._metrics.observe_segment(result)
            self._metrics.pairs.count_segment(pair, best, repeats)
        self._metrics.pairs.count_text(
            pair=pair,
            finish_reason=translation.candidates[0].finish_reason,
            num_characters=len(draft.text),
            source_tokens=translation.source_tokens,
            target_tokens=translation.target_tokens,
        )

    @contextmanager
    def _submitted(self, drafts: Sequence[Draft]) -> Iterator[Sequence[Job]]:
        """Submit all jobs; at the end, cancel those that are open."""
        jobs = jobs_of(drafts)
        try:
            for job in jobs:
                self._engine.submit(job)
            yield jobs
        finally:
            for job in jobs:
                if not job.future.done():
                    job.cancel()

    async def _gather(self, jobs: Sequence[Job], started: float) -> list[JobResult]:
        """Await all jobs; the first failure ends the wait."""
        if not jobs:
            return []
        futures = [_await_on_loop(job) for job in jobs]
        remaining = started + self._timeout_seconds - time.monotonic()
        done, pending = await asyncio.wait(
            futures, timeout=remaining, return_when=asyncio.FIRST_EXCEPTION
        )
        for future in done:
            future.result()  # raises the error of a failed job
        if pending:
            seconds = time.monotonic() - started
            raise DeadlineExceeded(value=seconds, limit=self._timeout_seconds)
        return [job.future.result() for job in jobs]


def _await_on_loop(job: Job) -> "asyncio.Future[JobResult]":
    """Make the future of a job awaitable here."""
    future = asyncio.wrap_future(job.future)
    # A sibling that is cancelled fails later, when nobody asks for its error any more.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _annotate_span(reply: TranslationReply) -> None:
    """Tell the trace of this request, if there is one, how much it was and where the time went."""
    texts = reply.translations
    get_current_span().set_attributes(
        {
            "dragoman.texts": len(texts),
            "dragoman.source_tokens": sum(text.source_tokens for text in texts),
            "dragoman.target_tokens": sum(text.target_tokens for text in texts),
            "dragoman.queue_seconds": reply.queue_seconds,
            "dragoman.decode_seconds": reply.decode_seconds,
        }
    )
