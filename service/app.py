"""The application: what is served under which path, and what surrounds it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service import libretranslate, routes
from service.backend import LoadBackend
from service.lifecycle import OnFailure, Service
from service.middleware import PROBES, BodyLimit, OpenCors, RequestEdge
from service.problems import install_problem_handlers
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider


def create_app(settings: Settings, load: LoadBackend, on_failure: OnFailure) -> FastAPI:
    """Make the application; nothing is loaded before its lifespan begins.

    Args:
        settings: every knob.
        load: opens the bundle and starts the engine; called once, on a thread.
        on_failure: told when loading fails or the engine loses its state; it must end the process.
    """
    service = Service(settings, load, on_failure)
    traces = _open_traces(settings.traces_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.run():
            yield
        if traces:
            await asyncio.to_thread(traces.shutdown)

    app = FastAPI(
        title="Dragoman",
        description="Machine translation. Errors of the native API are problem JSON (RFC 9457).",
        docs_url=None,  # the framework's page loads scripts from elsewhere; `routes` has its own
        redoc_url=None,
        redirect_slashes=False,  # a redirect of a POST loses its body in some clients
        lifespan=lifespan,
        telemetry=_telemetry(traces),
    )
    app.state.service = service
    app.include_router(routes.router)
    app.include_router(libretranslate.router)
    install_problem_handlers(app)
    # Added last is outermost.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(OpenCors)
    app.add_middleware(RequestEdge, metrics=service.request_metrics)
    return app


def _telemetry(traces: "TracerProvider | None") -> "TelemetryConfig":
    """What the framework is to tell OpenTelemetry: spans, if they are wanted, and nothing else."""
    return {
        "tracing": traces is not None,
        "tracer_provider": traces,
        "operation_spans": False,
        "metrics": False,  # Prometheus has better ones
        "logs": False,  # they would have messages of errors, and so what clients wrote
        "auto_configure": False,
        "exclude": lambda scope: scope["path"] in PROBES,
    }


def _open_traces(url: str) -> "TracerProvider | None":
    if url == "none":
        return None
    from service.tracing import open_provider  # noqa: PLC0415 - half a second that few want

    return open_provider(url)
