"""Another bundle while requests are open: what `Service.reload` grants, and what it refuses."""

import asyncio
import gc
import threading
import weakref
from dataclasses import replace

import httpx2
from fastapi.testclient import TestClient

from service.backend import Backend, OnStep
from service.errors import BundleError
from service.settings import Settings
from tests.service.conftest import Failures, app_that_loads, open_client
from tests.service.stub_engine import StubEngine

REQUEST = {"texts": ["Hallo"], "source": "de", "target": "en"}


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
