"""Ours: the engine with its queue, in this process."""

from collections.abc import Sequence
from dataclasses import replace

from deploy.bench.peers import LENGTH_PENALTY, MAX_TARGET_TOKENS, Files, Ids, Setup
from service.engine.job import Job
from service.engine.options import DecodingOptions
from service.loading import load_backend
from service.settings import load_settings


class DragomanPeer:
    """All sentences wait in the queue at once; rows that end are refilled from it.

    A beam goes on until nothing within its limit could win, so it has the limit that the service
    gives it, by the length of its source.
    """

    def __init__(self, files: Files, setup: Setup) -> None:
        rows = setup.batch_size * setup.beam_size  # of one worker
        settings = load_settings(
            bundle=files.bundle,
            precision=setup.precision,
            threads=setup.num_workers,
            slots=rows,
            cache_tokens=2 * rows * MAX_TARGET_TOKENS,  # so that only `slots` is a limit
            beam_size=setup.beam_size,
            max_beam_size=setup.beam_size,
            max_alternatives=0,
            max_queue_tokens=100_000_000,
        )
        backend = load_backend(settings, lambda report: None)
        self._engine, self._model = backend.engine, backend.model
        self._options = DecodingOptions(
            beam_size=setup.beam_size,
            length_penalty=LENGTH_PENALTY,
            max_target_tokens=MAX_TARGET_TOKENS,
        )

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        jobs = [Job(source_ids=tuple(source), options=self._bounded(source)) for source in sources]
        for job in jobs:
            self._engine.submit(job)
        return [list(job.future.result().hypotheses[0].token_ids) for job in jobs]

    def _bounded(self, source: Ids) -> DecodingOptions:
        if self._options.beam_size == 1:
            return self._options
        limit = min(MAX_TARGET_TOKENS, self._model.target_limit(len(source)))
        return replace(self._options, max_target_tokens=limit)

    def close(self) -> None:
        self._engine.drain(timeout_seconds=10.0)


open_peer = DragomanPeer
