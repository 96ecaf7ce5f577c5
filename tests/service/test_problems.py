import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import errors, libretranslate
from service.problems import LIBRETRANSLATE_PATHS, PROBLEMS
from tests.service.conftest import MakeApp, MakeClient
from tests.service.stub_engine import StubEngine

NATIVE = {"texts": ["Hallo"], "source": "de", "target": "en"}
LIBRE = {"q": "Hallo", "source": "de", "target": "en"}


SURROGATES = st.text(st.characters(exclude_categories=()), max_size=5)
# Bodies that are nearly right: known names, unknown ones, and values of every kind.
NAMES = st.sampled_from(["q", "source", "target", "texts", "options", "alternatives", "format"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SURROGATES | st.sampled_from(["de"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SURROGATES, inner, max_size=3),
    max_leaves=5,
)


def spell(value: Any) -> bytes:
    return json.dumps(value).encode()


def leaves(kind: type[errors.ServiceError]) -> Iterator[type[errors.ServiceError]]:
    for child in kind.__subclasses__():
        yield from leaves(child) if child.__subclasses__() else [child]


def test_every_error_has_its_problem() -> None:
    assert set(leaves(errors.ServiceError)) == set(PROBLEMS)


def test_no_two_problems_share_a_type() -> None:
    assert len({problem.slug for problem in PROBLEMS.values()}) == len(PROBLEMS)


def test_the_paths_of_libretranslate_are_those_of_its_router() -> None:
    paths = {getattr(route, "path", None) for route in libretranslate.router.routes}

    assert paths == LIBRETRANSLATE_PATHS


def test_a_problem_has_all_members_and_the_id_of_its_request(make_client: MakeClient) -> None:
    client = make_client(max_texts=1)

    reply = client.post("/v1/translate", json={**NATIVE, "texts": ["a", "b"]})

    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json() == {
        "type": "/docs#too-many-texts",
        "title": "The request has too many texts",
        "status": 422,
        "detail": "the request has 2 texts; the limit is 1",
        "value": 2,
        "limit": 1,
        "request_id": reply.headers["x-request-id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/v1/translate", 405), ("POST", "/livez/", 404)],
)
def test_unknown_paths_and_wrong_verbs_are_problems_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    reply = client.request(method, path)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["detail"] == f"{method} {path} is not served; see /docs"


@pytest.mark.parametrize(("wait", "after"), [(8.1, "1"), (11.5, "4")])
def test_who_would_wait_too_long_is_told_when_to_come_again(
    client: TestClient, engine: StubEngine, wait: float, after: str
) -> None:
    engine.error, engine.poison = errors.WaitTooLong(value=wait, limit=8.0), "Hallo"

    reply = client.post("/v1/translate", json=NATIVE)

    assert reply.status_code == 429
    assert reply.headers["retry-after"] == after
    assert (reply.json()["type"], reply.json()["limit"]) == ("/docs#wait-too-long", 8.0)


def test_a_wrong_verb_on_a_path_of_libretranslate_has_its_shape(client: TestClient) -> None:
    reply = client.get("/translate")

    assert reply.status_code == 405
    assert reply.json() == {"error": "GET /translate is not served; see /docs"}
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("error", "status", "libre_status", "libre_text"),
    [
        (errors.QueueFull(value=9, limit=8), 429, 429, "Slowdown: .* 9 tokens; the limit is 8"),
        (errors.WaitTooLong(value=9.0, limit=8.0), 429, 429, "Slowdown: .* 9 seconds; .* is 8"),
        (errors.EngineStopped("it drains"), 503, 503, "it drains"),
        (errors.DeadlineExceeded(value=31.0, limit=30.0), 504, 504, ".* 31 seconds; .* 30"),
        (errors.EngineFailure("a step failed"), 500, 500, "a step failed"),
        (errors.SegmentTooLong(value=9, limit=8), 422, 400, ".* 9 tokens .* the limit is 8"),
        (errors.TooManyTokens(value=9, limit=8), 413, 400, ".* 9 tokens; the limit is 8"),
    ],
)
def test_errors_of_the_engine_reach_the_client_in_the_shape_of_its_api(
    client: TestClient,
    engine: StubEngine,
    error: errors.ServiceError,
    status: int,
    libre_status: int,
    libre_text: str,
) -> None:
    engine.error, engine.poison = error, "Hallo"

    native = client.post("/v1/translate", json=NATIVE)
    libre = client.post("/translate", json=LIBRE)

    assert (native.status_code, native.json()["detail"]) == (status, str(error))
    assert libre.status_code == libre_status
    assert re.fullmatch(libre_text, libre.json()["error"])
    assert ("retry-after" in native.headers) == (status in (429, 503))


def test_an_unexpected_error_tells_nothing_and_is_logged_once(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    with TestClient(app) as client:
        reply = client.get("/broken")

    assert reply.status_code == 500
    assert reply.json()["title"] == "Internal error"
    assert "secret" not in reply.text
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "unexpected_error"
    ]


@pytest.mark.parametrize("path", ["/translate", "/v1/translate", "/detect"])
@given(body=st.one_of(st.binary(), st.dictionaries(NAMES | SURROGATES, VALUES).map(spell)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_whatever_is_an_error_of_ours(client: TestClient, path: str, body: bytes) -> None:
    reply = client.post(path, content=body)

    assert reply.status_code < 500, reply.text
