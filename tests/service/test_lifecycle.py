import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service import lifecycle
from service.app import create_app
from service.backend import Backend, OnStep
from service.errors import BundleError, EngineFailure
from service.settings import Settings
from tests.service.conftest import MakeApp, open_client, wait_until_ready
from tests.service.stub_engine import StubEngine, make_report

REQUEST = {"texts": ["Hallo"], "source": "de", "target": "en"}


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
    return create_app(Settings(timeout_seconds=timeout_seconds), load, failures.tell)


def test_while_loading_the_process_lives_and_takes_no_requests(backend: Backend) -> None:
    may_load = threading.Event()

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        may_load.wait()
        return backend

    with TestClient(app_that_loads(load, Failures())) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/health").status_code == 200
        for reply in (client.get("/readyz"), client.post("/v1/translate", json=REQUEST)):
            assert reply.status_code == 503
            assert reply.headers["retry-after"] == "1"
            assert reply.json()["detail"] == "the model is still loading"
        libre = client.get("/languages")
        assert (libre.status_code, libre.json()) == (503, {"error": "the model is still loading"})
        may_load.set()
        wait_until_ready(client)


def test_a_bundle_that_cannot_be_loaded_is_told_and_never_ready() -> None:
    failures = Failures()

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        raise BundleError("manifest.json is missing")

    with TestClient(app_that_loads(load, failures)) as client:
        failures.told.wait()
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").json()["detail"] == "the service has failed and will stop"

    assert [str(failure) for failure in failures] == ["manifest.json is missing"]


def test_an_engine_that_lost_its_state_is_told_and_ends_readiness(
    backend: Backend, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_HEALTH_CHECK_SECONDS", 0.001)
    failures = Failures()

    with TestClient(app_that_loads(lambda *_: backend, failures)) as client:
        wait_until_ready(client)
        engine.is_healthy = False
        assert client.get("/readyz").status_code == 503
        failures.told.wait()
        assert client.post("/v1/translate", json=REQUEST).status_code == 503

    assert isinstance(failures[0], EngineFailure)


def test_the_engine_is_drained_at_the_end(make_app: MakeApp, engine: StubEngine) -> None:
    with TestClient(make_app()) as client:
        wait_until_ready(client)
        assert not engine.drained.is_set()

    assert engine.drained.is_set()


def test_an_engine_that_was_still_loading_is_drained_too(
    backend: Backend, engine: StubEngine
) -> None:
    may_load = threading.Event()

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        may_load.wait()
        return backend

    with TestClient(app_that_loads(load, Failures())):
        may_load.set()

    assert engine.drained.is_set()


def test_reports_of_the_engine_reach_the_metrics(backend: Backend) -> None:
    def load(_settings: Settings, on_step: OnStep) -> Backend:
        on_step(make_report(rows=3, target_tokens=3))
        return backend

    with TestClient(app_that_loads(load, Failures())) as client:
        wait_until_ready(client)
        assert 'dragoman_tokens_total{kind="target"} 3.0' in client.get("/metrics").text


def test_what_the_engine_holds_reaches_the_metrics(client: TestClient) -> None:
    lines = client.get("/metrics").text.splitlines()

    assert "dragoman_rows_running 3.0" in lines
    assert "dragoman_slots 64.0" in lines
    assert "dragoman_queue_depth 2.0" in lines


def test_two_hundred_requests_at_once_are_all_answered_right(make_app: MakeApp) -> None:
    async def scenario() -> list[httpx2.Response]:
        async with open_client(make_app()) as client:
            requests = (
                client.post("/translate", json={"q": f"Nummer {n}", "source": "de", "target": "en"})
                for n in range(200)
            )
            return await asyncio.gather(*requests)

    replies = asyncio.run(scenario())

    assert [reply.json() for reply in replies] == [
        {"translatedText": f"NUMMER {n}"} for n in range(200)
    ]


def test_a_reply_names_the_model_that_translated(backend: Backend, engine: StubEngine) -> None:
    app = app_that_loads(lambda *_: backend, Failures())
    newer = replace(backend, model=replace(backend.model, name="newer"))

    async def scenario() -> httpx2.Response:
        async with open_client(app) as client:
            engine.gate.clear()
            request = asyncio.create_task(client.post("/v1/translate", json=REQUEST))
            await asyncio.to_thread(engine.taken.wait)
            app.state.service._backend = newer
            engine.gate.set()
            return await request

    assert asyncio.run(scenario()).json()["model"] == "stub"


async def count_reloads(client: httpx2.AsyncClient, result: str, count: int = 1) -> None:
    """Return after so many reloads ended so."""
    line = f'dragoman_bundle_reloads_total{{result="{result}"}} {count}.0'
    for _ in range(1_000):
        if line in (await client.get("/metrics")).text:
            return
        await asyncio.sleep(0)
    raise AssertionError(line)


def test_what_is_in_ends_on_the_old_model_and_what_comes_goes_to_the_new(
    backend: Backend, engine: StubEngine
) -> None:
    new = replace(backend, model=replace(backend.model, name="new"), engine=StubEngine())
    backends = [new, backend]
    app = app_that_loads(lambda *_: backends.pop(), Failures())

    async def scenario() -> list[str]:
        async with open_client(app) as client:
            engine.gate.clear()
            requests = [
                asyncio.create_task(client.post("/v1/translate", json=REQUEST)) for _ in range(2)
            ]
            await asyncio.to_thread(engine.taken.wait)
            app.state.service.reload()
            await count_reloads(client, "swapped")
            later = await client.post("/v1/translate", json=REQUEST)
            engine.gate.set()
            return [each.json()["model"] for each in (*await asyncio.gather(*requests), later)]

    assert asyncio.run(scenario()) == ["stub", "stub", "new"]
    assert engine.drained.is_set()


def test_a_swapped_out_model_is_freed_while_the_new_one_serves(backend: Backend) -> None:
    old = replace(backend, engine=StubEngine())
    is_gone = weakref.ref(old)
    backends = [backend, old]
    del old
    app = app_that_loads(lambda *_: backends.pop(), Failures(), timeout_seconds=0.01)

    async def scenario() -> None:
        async with open_client(app) as client:
            app.state.service.reload()
            await count_reloads(client, "swapped")
            for _ in range(100):
                if is_gone() is None:
                    return
                await asyncio.sleep(0.05)
                gc.collect()
            raise AssertionError("something still holds the old model")

    asyncio.run(scenario())


def test_a_bundle_that_is_refused_leaves_the_old_one(backend: Backend) -> None:
    backends = [backend]

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        if not backends:
            raise BundleError("translated otherwise")
        return backends.pop()

    app = app_that_loads(load, Failures())

    async def scenario() -> httpx2.Response:
        async with open_client(app) as client:
            app.state.service.reload()
            await count_reloads(client, "refused")
            return await client.post("/v1/translate", json=REQUEST)

    assert asyncio.run(scenario()).json()["model"] == "stub"


def test_all_wishes_during_a_reload_are_one_more(backend: Backend) -> None:
    may_load, begun = threading.Semaphore(1), threading.Semaphore(0)
    loads: list[int] = []

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        loads.append(1)
        begun.release()
        may_load.acquire()
        return replace(backend, engine=StubEngine())

    app = app_that_loads(load, Failures(), timeout_seconds=0.01)

    async def scenario() -> None:
        async with open_client(app) as client:
            app.state.service.reload()
            await asyncio.to_thread(lambda: (begun.acquire(), begun.acquire()))
            app.state.service.reload()
            app.state.service.reload()
            may_load.release(5)
            await count_reloads(client, "swapped", 2)

    asyncio.run(scenario())

    assert len(loads) == 3


def test_a_wish_during_the_first_load_is_granted_after_it(backend: Backend) -> None:
    may_load, engines = threading.Event(), [StubEngine(), StubEngine()]
    loads: list[StubEngine] = []

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        may_load.wait()
        loads.append(engines[len(loads)])
        return replace(backend, engine=loads[-1])

    app = app_that_loads(load, Failures())

    async def scenario() -> None:
        app.state.service.reload()  # before there is anything, as a signal may come
        transport = httpx2.ASGITransport(app)
        client = httpx2.AsyncClient(transport=transport, base_url="http://test")
        async with app.router.lifespan_context(app), client:
            app.state.service.reload()
            may_load.set()
            await count_reloads(client, "swapped")

    asyncio.run(scenario())

    assert loads == engines


def test_a_wish_during_a_first_load_that_fails_is_dropped() -> None:
    may_load, loads = threading.Event(), []

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        loads.append(1)
        may_load.wait()
        raise BundleError("manifest.json is missing")

    failures = Failures()
    app = app_that_loads(load, failures)
    with TestClient(app):
        app.state.service.reload()
        may_load.set()
        failures.told.wait()

    assert loads == [1]


def test_quick_reloads_never_have_more_than_two_models(backend: Backend) -> None:
    engines: list[StubEngine] = []
    held: list[int] = []

    def load(_settings: Settings, _on_step: OnStep) -> Backend:
        engines.append(StubEngine())
        held.append(sum(not engine.drained.is_set() for engine in engines))
        return replace(backend, engine=engines[-1])

    app = app_that_loads(load, Failures(), timeout_seconds=0.02)

    async def scenario() -> None:
        async with open_client(app) as client:
            for count in range(1, 4):
                app.state.service.reload()
                await count_reloads(client, "swapped", count)

    asyncio.run(scenario())

    assert held == [1, 2, 2, 2]
