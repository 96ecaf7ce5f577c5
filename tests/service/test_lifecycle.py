import asyncio
import threading
from dataclasses import replace

import httpx2
import pytest
from fastapi.testclient import TestClient

from service import lifecycle
from service.backend import Backend, OnStep
from service.errors import BundleError, EngineFailure
from service.settings import Settings
from tests.service.conftest import Failures, MakeApp, app_that_loads, open_client, wait_until_ready
from tests.service.stub_engine import StubEngine, make_report

REQUEST = {"texts": ["Hallo"], "source": "de", "target": "en"}


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
