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
from service.threads import start_threads
from service.translate import Translator

_HEALTH_CHECK_SECONDS = 0.5
_MORE_THREADS = 4
"""Beside as many as decode: for texts to be cut and joined, while a model is loaded or drained."""

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
        self._reload_wanted = asyncio.Event()
        self._loading: asyncio.Task[Backend] | None = None
        self._reloading: asyncio.Task[NoReturn] | None = None
        self._retired: Backend | None = None
        self._retiring: asyncio.Task[None] | None = None

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
        pool = start_threads(self.settings.threads + _MORE_THREADS)
        asyncio.get_running_loop().set_default_executor(pool)
        watching = asyncio.create_task(self._watch(self._start_loading()))
        watching.add_done_callback(self._report_failure)
        try:
            yield
        finally:
            for task in (watching, self._reloading, self._retiring):
                if task:
                    task.cancel()
            self._phase = Phase.DRAINING
            await self._drain()

    def reload(self) -> None:
        """Want the bundle to be loaded again.

        All wishes while one is loading, the first one too, or while a model that was swapped out
        still serves, are one more: there are never more than two models.
        """
        self._reload_wanted.set()

    def _start_loading(self) -> asyncio.Task[Backend]:
        self._loading = asyncio.create_task(
            asyncio.to_thread(self._load, self.settings, self._engine_metrics.record)
        )
        return self._loading

    async def _reload_when_wanted(self) -> NoReturn:
        while True:
            await self._reload_wanted.wait()
            if self._retiring and not self._retiring.done():
                log_event(logging.INFO, "reload_waits", reason="the model before still serves")
                await self._retiring
            self._reload_wanted.clear()
            await self._reload()

    async def _reload(self) -> None:
        """Serve what is loaded in place of what was; if that fails, all stays as it is."""
        try:
            backend = await asyncio.shield(self._start_loading())
        except Exception as error:  # noqa: BLE001 - the edge: whatever a bundle does, the old serves
            self._service_metrics.count_reload("refused")
            log_event(logging.ERROR, "reload_refused", error=error)
            return
        old, self._backend = self._backend, backend
        self._show(backend)
        self._service_metrics.count_reload("swapped")
        log_event(logging.INFO, "swapped", version=backend.model.version)
        if old:
            self._retired = old
            self._retiring = asyncio.create_task(self._retire())

    async def _retire(self) -> None:
        """Stop an engine when no request can want it any more: none lasts longer than the limit."""
        await asyncio.sleep(self.settings.timeout_seconds)
        assert self._retired, "only a swap sets it, and waits for this. This is a bug."
        await asyncio.to_thread(self._retired.engine.drain, self.settings.drain_seconds)
        self._retired = None

    def _show(self, backend: Backend) -> None:
        self._service_metrics.show_model(backend.model)
        self._engine_metrics.watch(lambda: backend.engine.occupancy)

    async def _watch(self, loading: asyncio.Task[Backend]) -> NoReturn:
        """Serve what was loaded; it only ends by a failure."""
        started = time.monotonic()
        backend = await asyncio.shield(loading)
        self._backend = backend
        self._phase = Phase.READY
        self._reloading = asyncio.create_task(self._reload_when_wanted())
        model = backend.model
        self._show(backend)
        log_event(
            logging.INFO,
            "ready",
            model=model.name,
            version=model.version,
            precision=model.precision,
            provider=model.provider,
            threads=model.num_workers,
            seconds=time.monotonic() - started,
        )
        del backend, model, loading  # else what a swap has retired would never be freed
        while self._backend.engine.is_healthy:
            await asyncio.sleep(_HEALTH_CHECK_SECONDS)
        raise EngineFailure("the engine has lost its state; the process must be restarted")

    def _report_failure(self, watching: asyncio.Task[NoReturn]) -> None:
        if not watching.cancelled() and (error := watching.exception()):
            self._phase = Phase.FAILED
            self._on_failure(error)

    async def _drain(self) -> None:
        """Drain what serves, what served, and what was about to."""
        engines = [backend.engine for backend in (self._backend, self._retired) if backend]
        if self._loading:
            await asyncio.wait((self._loading,))
            if self._loading.exception() is None:
                engines.append(self._loading.result().engine)
        if engines:
            drains = [
                asyncio.to_thread(engine.drain, self.settings.drain_seconds)
                for engine in {id(engine): engine for engine in engines}.values()
            ]
            log_event(logging.INFO, "drained", in_time=all(await asyncio.gather(*drains)))
