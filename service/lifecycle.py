"""The life of the service: loading, ready, draining; or failed, and then the process must end."""

import asyncio
import enum
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from prometheus_client import CollectorRegistry

from service.backend import Backend, LoadBackend
from service.draft import Drafter
from service.errors import EngineFailure, NotReady
from service.logs import log_event
from service.metrics import EngineMetrics, RequestMetrics, ServiceMetrics
from service.settings import Settings
from service.translate import Translator

_HEALTH_CHECK_SECONDS = 0.5

OnFailure = Callable[[BaseException], None]


class Phase(enum.Enum):
    """Where the service stands; the value says it to clients."""

    LOADING = "the model is still loading"
    READY = "ready"
    DRAINING = "the service is stopping"
    FAILED = "the service has failed and will stop"


class Service:
    """Owns what all requests share; made once for each app, used on the event loop.

    Args:
        settings: passed down from here.
        load: opens the bundle and starts the engine; it runs on a thread.
        on_failure: told when loading fails or the engine loses its state; it ends the process.
    """

    def __init__(self, settings: Settings, load: LoadBackend, on_failure: OnFailure) -> None:
        self.settings = settings
        self.registry = CollectorRegistry()
        self.request_metrics = RequestMetrics(self.registry)
        self._service_metrics = ServiceMetrics(self.registry)
        self._service_metrics.watch_readiness(lambda: self.is_ready)
        self._engine_metrics = EngineMetrics(self.registry)
        self._load = load
        self._on_failure = on_failure
        self._phase = Phase.LOADING
        self._backend: Backend | None = None

    @property
    def is_ready(self) -> bool:
        """Say whether requests are taken."""
        return bool(
            self._phase is Phase.READY and self._backend and self._backend.engine.is_healthy
        )

    def check_ready(self) -> None:
        """Raise NotReady if requests are not taken."""
        if not self.is_ready:
            raise NotReady(self._phase.value)

    @property
    def backend(self) -> Backend:
        """What is served; raises NotReady before it is loaded and when it is served no more."""
        if self._phase is not Phase.READY or self._backend is None:
            raise NotReady(self._phase.value)
        return self._backend

    def translator(self, timeout_seconds: float) -> Translator:
        """What answers a request that may take so long; raises NotReady as `backend` does."""
        backend = self.backend
        drafter = Drafter(backend.model, backend.tokenizer, backend.detector, self.settings)
        return Translator(
            drafter,
            backend.engine,
            timeout_seconds=timeout_seconds,
            metrics=self.request_metrics,
        )

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Load in the background, so that probes are answered meanwhile; drain at the end."""
        loading = asyncio.create_task(
            asyncio.to_thread(self._load, self.settings, self._engine_metrics.record)
        )
        watching = asyncio.create_task(self._watch(loading))
        watching.add_done_callback(self._report_failure)
        try:
            yield
        finally:
            watching.cancel()
            self._phase = Phase.DRAINING
            await self._drain(loading)

    async def _watch(self, loading: asyncio.Task[Backend]) -> NoReturn:
        """Serve what was loaded; it only ends by a failure."""
        started = time.monotonic()
        backend = await asyncio.shield(loading)
        self._backend = backend
        self._phase = Phase.READY
        model = backend.model
        self._service_metrics.show_model(model, self.settings.threads)
        self._engine_metrics.watch(lambda: backend.engine.occupancy)
        log_event(
            logging.INFO,
            "ready",
            model=model.name,
            version=model.version,
            precision=model.precision,
            threads=self.settings.threads,
            seconds=time.monotonic() - started,
        )
        while backend.engine.is_healthy:
            await asyncio.sleep(_HEALTH_CHECK_SECONDS)
        raise EngineFailure("the engine has lost its state; the process must be restarted")

    def _report_failure(self, watching: asyncio.Task[NoReturn]) -> None:
        if not watching.cancelled() and (error := watching.exception()):
            self._phase = Phase.FAILED
            self._on_failure(error)

    async def _drain(self, loading: asyncio.Task[Backend]) -> None:
        await asyncio.wait((loading,))
        if loading.exception() is None:
            engine = loading.result().engine
            in_time = await asyncio.to_thread(engine.drain, self.settings.drain_seconds)
            log_event(logging.INFO, "drained", in_time=in_time)
