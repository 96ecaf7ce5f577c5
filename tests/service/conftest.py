"""A service without a model: real app, stub engine."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.backend import Backend, OnStep
from service.detect import Detector
from service.logs import REQUEST_ID
from service.served_model import ServedModel
from service.settings import Settings
from tests.service.stub_engine import (
    EOS_ID,
    FORMALITY_IDS,
    SILENT_IDS,
    TAG_IDS,
    StubEngine,
    StubTokenizer,
)

MakeApp = Callable[..., FastAPI]
MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(("de", "en"))


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def model() -> ServedModel:
    return ServedModel(
        name="stub",
        version="1.0",
        sha256="ab" * 32,
        precision="int8",
        provider="CPUExecutionProvider",
        languages={"de": "German", "en": "English"},
        tag_ids=TAG_IDS,
        formality_ids={("en", "de"): FORMALITY_IDS},
        eos_id=EOS_ID,
        silent_ids=SILENT_IDS,
        length_penalty=0.6,
        max_source_tokens=67,
        max_target_tokens=100,
        max_target_ratio=2.0,
        scores={"tatoeba": {"bleu": 30.0}},
    )


@pytest.fixture
def backend(model: ServedModel, detector: Detector, engine: StubEngine) -> Backend:
    return Backend(model=model, tokenizer=StubTokenizer(), detector=detector, engine=engine)


@pytest.fixture
def make_app(backend: Backend) -> MakeApp:
    """Make an app with the stub engine; arguments are settings."""

    def make(**settings: Any) -> FastAPI:
        def load(_settings: Settings, _on_step: OnStep) -> Backend:
            return backend

        return create_app(Settings(**settings), load, _must_not_fail)

    return make


@pytest.fixture
def make_client(make_app: MakeApp) -> Iterator[MakeClient]:
    """Make a client of an app that is ready; arguments are settings."""
    with ExitStack() as stack:

        def make(**settings: Any) -> TestClient:
            client = stack.enter_context(TestClient(make_app(**settings)))
            wait_until_ready(client)
            return client

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture(autouse=True)
def _no_request_id() -> Iterator[None]:
    token = REQUEST_ID.set("")
    yield
    REQUEST_ID.reset(token)


class Failures(list[BaseException]):
    """Collects what `on_failure` is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def tell(self, error: BaseException) -> None:
        self.append(error)
        self.told.set()


def app_that_loads(
    load: Callable[[Settings, OnStep], Backend], failures: Failures, timeout_seconds: float = 30.0
) -> FastAPI:
    """Make an app whose model comes as the test wants, and which may fail."""
    return create_app(Settings(timeout_seconds=timeout_seconds), load, failures.tell)


def wait_until_ready(client: TestClient) -> None:
    """Ask until the service is ready; a stub is loaded at once, a bundle in a second or two."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.002)
    raise AssertionError("the service does not get ready")


@asynccontextmanager
async def open_client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Run an app on this event loop, and talk to it once it is ready."""
    transport = httpx2.ASGITransport(app)
    client = httpx2.AsyncClient(transport=transport, base_url="http://test")
    async with app.router.lifespan_context(app), client:
        while not app.state.service.is_ready:
            await asyncio.sleep(0)
        yield client


def _must_not_fail(error: BaseException) -> None:
    raise AssertionError(f"the service failed: {error!r}")
