import asyncio
import logging
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from service import middleware
from service.errors import BodyTooLarge
from service.logs import logger
from service.middleware import BodyLimit
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


def test_a_body_of_unknown_length_is_read_no_further_than_twice_the_limit(
    make_app: MakeApp,
) -> None:
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
    assert sent <= 2_100


def test_a_body_at_the_limit_passes(make_client: MakeClient) -> None:
    body = b'{"q": "Hallo", "source": "de", "target": "en"}'

    reply = make_client(max_body_bytes=len(body)).post("/translate", content=body)

    assert reply.status_code == 200


class Sender:
    """The server's side of a body in chunks of ten bytes."""

    def __init__(self, num_chunks: int) -> None:
        self.left = num_chunks

    async def receive(self) -> Message:
        assert self.left, "an answer would wait for a body that has ended"
        self.left -= 1
        return {"type": "http.request", "body": b"0123456789", "more_body": self.left > 0}


async def read_body(_scope: Scope, receive: Receive, _send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def never_send(_message: Message) -> None:
    raise AssertionError("nobody answers here")


@pytest.mark.parametrize(
    ("num_chunks", "headers", "num_unread"),
    [
        (3, {}, 0),  # of unknown length, and too large with its last chunk
        (4, {}, 0),
        (9, {}, 5),
        (4, {"content-length": "40"}, 0),
        (9, {"content-length": "90"}, 5),
        (4, {"content-length": "40", "expect": "100-continue"}, 4),
    ],
)
def test_what_is_on_its_way_is_read_before_a_body_is_refused(
    num_chunks: int, headers: dict[str, str], num_unread: int
) -> None:
    sender = Sender(num_chunks)
    scope = {"type": "http", "headers": Headers(headers).raw}

    with pytest.raises(BodyTooLarge):
        asyncio.run(BodyLimit(read_body, max_bytes=20)(scope, sender.receive, never_send))

    assert sender.left == num_unread


def test_a_client_that_waits_with_a_body_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "_SILENCE_SECONDS", 0.001)
    scope = {"type": "http", "headers": Headers({"content-length": "40"}).raw}

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(BodyTooLarge):
        asyncio.run(BodyLimit(read_body, max_bytes=20)(scope, receive, never_send))
