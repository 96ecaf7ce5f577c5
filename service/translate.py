"""One request: draft, submit, await, join."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from service.draft import Draft, Drafter
from service.engine.job import Job, JobResult
from service.errors import DeadlineExceeded
from service.metrics import RequestMetrics
from service.translation import Translation, TranslationReply, TranslationRequest


class JobSink(Protocol):
    """What takes jobs: `service.engine.loop.Engine`."""

    def submit(self, job: Job) -> None:
        """Take a job, from any thread, or raise QueueFull or EngineStopped."""


class Translator:
    """Answers requests from one engine.

    Args:
        drafter: turns requests into jobs.
        engine: resolves the future of each job.
        timeout_seconds: for a request as a whole.
        metrics: counts texts and queue times.
    """

    def __init__(
        self, drafter: Drafter, engine: JobSink, *, timeout_seconds: float, metrics: RequestMetrics
    ) -> None:
        self._drafter = drafter
        self._engine = engine
        self._timeout_seconds = timeout_seconds
        self._metrics = metrics

    async def translate(self, request: TranslationRequest, client: str = "") -> TranslationReply:
        """Translate every text of a request, or none; `client` gets its fair share of the engine.

        When the caller is cancelled or a job fails, the jobs that are still open are cancelled.

        Raises:
            RequestError, RequestTooLarge: see `Drafter.draft`.
            QueueFull, EngineStopped, EngineFailure: as the engine says.
            DeadlineExceeded: after `timeout_seconds`.
        """
        started = time.monotonic()
        deadline = started + self._timeout_seconds
        # Long texts take long to cut and to join: both happen off the event loop.
        drafts = await asyncio.to_thread(self._drafter.draft, request, deadline)
        jobs = [job for draft in drafts for job in draft.jobs]
        ticket = object()  # equal to nothing but itself, as two equal requests are two
        for job in jobs:
            job.client, job.request = client, ticket
        results = await self._run(jobs, started)
        translations = await asyncio.to_thread(self._drafter.finish, drafts, results)
        self._count(drafts, translations, results)
        return TranslationReply(
            translations=translations,
            total_seconds=time.monotonic() - started,
            queue_seconds=max((result.queue_seconds for result in results), default=0.0),
            decode_seconds=max((result.decode_seconds for result in results), default=0.0),
        )

    def _count(
        self,
        drafts: Sequence[Draft],
        translations: Sequence[Translation],
        results: Sequence[JobResult],
    ) -> None:
        for result in results:
            self._metrics.observe_queue(result.queue_seconds)
        for draft, translation in zip(drafts, translations, strict=True):
            self._metrics.count_text(
                pair=f"{draft.source}-{draft.target}",
                finish_reason=translation.candidates[0].finish_reason,
                num_characters=len(draft.text),
                source_tokens=translation.source_tokens,
                target_tokens=translation.target_tokens,
            )

    async def _run(self, jobs: Sequence[Job], started: float) -> list[JobResult]:
        """Submit all jobs and await them; the first failure ends the rest."""
        if not jobs:
            return []
        try:
            for job in jobs:
                self._engine.submit(job)
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
        finally:
            for job in jobs:
                if not job.future.done():
                    job.cancel()
        return [job.future.result() for job in jobs]


def _await_on_loop(job: Job) -> "asyncio.Future[JobResult]":
    """Make the future of a job awaitable here."""
    future = asyncio.wrap_future(job.future)
    # A sibling that is cancelled fails later, when nobody asks for its error any more.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
