import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from service.errors import InvalidTimeout
from service.timeout import TIMEOUT_HEADER, read_timeout
from tests.service.conftest import MakeClient
from tests.service.stub_engine import StubEngine

NATIVE = {"texts": ["Hallo"], "source": "de", "target": "en"}
LIBRETRANSLATE = {"q": "Hallo", "source": "de", "target": "en"}
BOTH_APIS = pytest.mark.parametrize(
    ("path", "body"), [("/v1/translate", NATIVE), ("/translate", LIBRETRANSLATE)]
)


@pytest.mark.parametrize(("given", "seconds"), [("0.25", 0.25), ("7", 7.0), ("31", 30.0)])
def test_a_client_waits_as_long_as_it_says_up_to_the_limit(given: str, seconds: float) -> None:
    headers = Headers({"x-request-timeout": given})

    assert read_timeout(headers, limit_seconds=30.0) == seconds


def test_a_client_that_says_nothing_waits_up_to_the_limit() -> None:
    assert read_timeout(Headers(), limit_seconds=30.0) == 30.0


@pytest.mark.parametrize(
    "given", ["", "soon", "nan", "inf", "1e3", "1_0", "5s", "5, 6", "١", "9" * 99]
)
def test_what_is_no_plain_number_is_refused(given: str) -> None:
    with pytest.raises(InvalidTimeout, match="above 0; the limit is 30") as caught:
        read_timeout({TIMEOUT_HEADER: given}, limit_seconds=30.0)

    assert (caught.value.value, caught.value.limit) == (None, 30.0)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(("given", "value"), [("0", 0.0), ("0.000", 0.0), ("-2.5", -2.5)])
def test_no_time_and_less_are_refused_with_value_and_limit(
    client: TestClient, engine: StubEngine, given: str, value: float
) -> None:
    reply = client.post("/v1/translate", json=NATIVE, headers={TIMEOUT_HEADER: given})

    problem = reply.json()
    assert reply.status_code == problem["status"] == 400
    assert problem["type"] == "/docs#invalid-timeout"
    assert (problem["value"], problem["limit"]) == (value, 30.0)
    assert engine.jobs == []


def test_libretranslate_refuses_it_in_its_own_shape(client: TestClient) -> None:
    reply = client.post("/translate", json=LIBRETRANSLATE, headers={TIMEOUT_HEADER: "soon"})

    assert reply.status_code == 400
    assert reply.json() == {
        "error": "the timeout 'soon' is no number of seconds above 0; the limit is 30"
    }


def test_a_refusal_is_counted_by_its_reason(client: TestClient) -> None:
    client.post("/v1/translate", json=NATIVE, headers={TIMEOUT_HEADER: "soon"})

    lines = client.get("/metrics").text.splitlines()
    [count] = [
        line for line in lines if 'reason="invalid-timeout"' in line and "_created" not in line
    ]
    assert count.endswith(" 1.0")


@BOTH_APIS
def test_a_client_that_has_waited_enough_gets_504_and_its_job_is_dropped(
    client: TestClient, engine: StubEngine, path: str, body: dict[str, object]
) -> None:
    engine.gate.clear()

    reply = client.post(path, json=body, headers={TIMEOUT_HEADER: "0.05"})

    assert reply.status_code == 504
    assert "the limit is 0.05" in reply.text
    assert engine.dropped.wait(timeout=10)
    assert engine.jobs[0].deadline - engine.jobs[0].submitted_at < 0.05


def test_a_stream_that_takes_too_long_ends_with_the_problem(
    client: TestClient, engine: StubEngine
) -> None:
    engine.gate.clear()
    body = NATIVE | {"texts": [" Hallo"], "stream": True}

    reply = client.post("/v1/translate", json=body, headers={TIMEOUT_HEADER: "0.05"})

    assert "event: error" in reply.text
    assert "/docs#deadline-exceeded" in reply.text
    assert engine.dropped.wait(timeout=10)


def test_a_client_cannot_wait_longer_than_the_service(
    make_client: MakeClient, engine: StubEngine
) -> None:
    engine.gate.clear()
    client = make_client(timeout_seconds=0.05)

    reply = client.post("/v1/translate", json=NATIVE, headers={TIMEOUT_HEADER: "3600"})

    assert reply.status_code == 504
    assert reply.json()["limit"] == 0.05


@BOTH_APIS
def test_the_description_of_the_api_has_the_header(
    client: TestClient, path: str, body: dict[str, object]
) -> None:
    [parameter] = client.get("/openapi.json").json()["paths"][path]["post"]["parameters"]

    assert (parameter["name"], parameter["in"]) == (TIMEOUT_HEADER, "header")
