import asyncio
import logging
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from service.logs import logger
from tests.service.conftest import MakeApp, MakeClient, open_client

REQUEST = {"q": "Hallo Welt", "source": "de", "target": "en"}


def test_every_reply_has_a_request_id_of_its_own(client: TestClient) -> None:
    ids = {client.get(path).headers["x-request-id"] for path in ("/livez", "/livez", "/nothing")}

    assert len(ids) == 3


def test_the_request_id_of_the_client_is_kept(client: TestClient) -> None:
    reply = client.get("/nothing", headers={"x-request-id": "trace-1"})

    assert reply.headers["x-request-id"] == reply.json()["request_id"] == "trace-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", "<script>"])
def test_a_request_id_that_could_do_harm_is_replaced(client: TestClient, given: str) -> None:
    reply = client.get("/livez", headers={b"x-request-id": given.encode()})

    assert reply.headers["x-request-id"] != given


def test_logs_never_show_source_text(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    secret = "Geheimnis"
    request = {**REQUEST, "q": secret}
    client.post("/translate", params=request)
    client.post("/translate", data=request)
    client.post("/translate", json={**request, "target": "zz"})
    client.post("/v1/translate", json={"texts": [secret * 20], "source": "de", "target": "en"})

    lines = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert len([line for line in lines if line.startswith("request ")]) == 4
    assert not [line for line in lines if secret in line]


@pytest.mark.parametrize(
    ("path", "name"), [("/translate", "q"), ("/v1/translate", "texts"), ("/detect", "q")]
)
def test_a_body_over_the_limit_is_refused_with_limit_and_value(
    make_client: MakeClient, path: str, name: str
) -> None:
    reply = make_client(max_body_bytes=100).post(path, content=b'{"%s": "' % name.encode() * 90)

    assert reply.status_code == 413
    assert "the limit is 100" in reply.text
    assert reply.headers["connection"] == "close"


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(make_app: MakeApp) -> None:
    app = make_app(max_body_bytes=1_000)
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(1_000):
            sent += 100
            yield b"x" * 100

    async def post() -> httpx2.Response:
        async with open_client(app) as client:
            return await client.post("/v1/translate", content=chunks())

    reply = asyncio.run(post())

    assert reply.status_code == 413
    assert reply.json()["value"] == 1_100
    assert sent <= 1_200


def test_a_body_at_the_limit_passes(make_client: MakeClient) -> None:
    body = b'{"q": "Hallo", "source": "de", "target": "en"}'

    reply = make_client(max_body_bytes=len(body)).post("/translate", content=body)

    assert reply.status_code == 200
