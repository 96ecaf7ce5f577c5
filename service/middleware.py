"""What surrounds every request: its id, its log line, its size, and who may ask.

Plain ASGI: a middleware that wraps request and response objects would hide when the client goes.
"""

import asyncio
import contextlib
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge
from service.logs import REQUEST_ID, log_event
from service.metrics import RequestMetrics
from service.problems import (
    CLIENT_CLOSED_REQUEST,
    LIBRETRANSLATE_PATHS,
    REFUSALS,
    ProblemType,
    respond,
)
from service.timeout import TIMEOUT_HEADER

_APIS = {"/translate": "libretranslate", "/v1/translate": "native"}
OUTCOMES = ("ok", "client_error", "rejected", "cancelled", "timeout", "error")
PROBES = frozenset({"/livez", "/readyz", "/metrics", "/health"})
_SILENCE_SECONDS = 0.5  # of a client whose body is too large; perhaps it waits for the answer
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestEdge:
    """The outermost layer: gives a request its id, and has the last word on errors.

    `X-Request-ID` is taken from the client if it is 1 to 128 letters, digits, or any of `_.:-`.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics
        metrics.expect(_APIS.values(), OUTCOMES, REFUSALS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; no error leaves from here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        REQUEST_ID.set(request_id)
        started = time.monotonic()
        status, is_complete = CLIENT_CLOSED_REQUEST, False  # until there is a reply

        async def send_with_id(message: Message) -> None:
            nonlocal status, is_complete
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body")

        request = Request(scope)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the edge: what comes here, nobody foresaw
            await respond(request, error)(scope, receive, send_with_id)
        finally:
            # A stream that was not sent to its end had nobody to read it.
            status = status if is_complete else CLIENT_CLOSED_REQUEST
            self._record(request, status, time.monotonic() - started)

    def _record(self, request: Request, status: int, seconds: float) -> None:
        path = request.url.path
        problem: ProblemType | None = getattr(request.state, "problem", None)
        if request.method == "POST" and path in _APIS:
            self._count(_APIS[path], status, problem, seconds)
        # Without the query: some clients put the source text there.
        log_event(
            logging.DEBUG if path in PROBES else logging.INFO,
            "request",
            method=request.method,
            path=path,
            status=status,
            problem=problem.slug if problem else "none",
            seconds=seconds,
        )

    def _count(self, api: str, status: int, problem: ProblemType | None, seconds: float) -> None:
        # A stream says its problem after the status line, and LibreTranslate has fewer statuses.
        if problem and status != CLIENT_CLOSED_REQUEST:
            status = problem.status
        self._metrics.count_request(api, _outcome(status), seconds)
        if problem and problem.slug in REFUSALS:
            self._metrics.count_refusal(problem.slug)


class BodyLimit:
    """Refuse a body as soon as it is too large, announced or not.

    What is on its way is read first, up to twice the limit in all, or until nothing comes for a
    while: a connection that is closed on unread bytes is reset, and the client, or the proxy before
    it, loses the answer.

    Args:
        app: what reads it, and then gets BodyTooLarge.
        max_bytes: of one body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and count the body on its way."""
        headers = Headers(scope=scope) if "headers" in scope else Headers()
        announced = headers.get("content-length", "")
        num_bytes = int(announced) if announced.isdecimal() else 0
        read = 0

        async def receive_limited() -> Message:
            nonlocal read
            if num_bytes > self._max_bytes:
                if "expect" not in headers:  # else nothing comes before we ask for it
                    await self._discard(receive, 0)
                raise BodyTooLarge(value=num_bytes, limit=self._max_bytes)
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                if message.get("more_body"):
                    await self._discard(receive, read)
                raise BodyTooLarge(value=read, limit=self._max_bytes)
            return message

        await self._app(scope, receive_limited, send)

    async def _discard(self, receive: Receive, read: int) -> None:
        more_body = True
        with contextlib.suppress(TimeoutError):
            while more_body and read < 2 * self._max_bytes:
                message = await asyncio.wait_for(receive(), _SILENCE_SECONDS)
                read += len(message.get("body", b""))
                more_body = message.get("more_body", False)


class OpenCors:
    """Let any web page call LibreTranslate's paths, as LibreTranslate does."""

    HEADERS = {  # noqa: RUF012 - never changed
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": f"Authorization, Content-Type, {TIMEOUT_HEADER}",
    }

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the browser's question beforehand, and add the headers to every reply."""
        if scope["type"] != "http" or scope["path"] not in LIBRETRANSLATE_PATHS:
            await self._app(scope, receive, send)
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.HEADERS)
            await send(message)

        app = Response() if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_with_cors)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _outcome(status: int) -> str:
    match status:
        case 429 | 503:
            return "rejected"
        case 504:
            return "timeout"
        case 499:
            return "cancelled"
    return "ok" if status < 400 else "client_error" if status < 500 else "error"
