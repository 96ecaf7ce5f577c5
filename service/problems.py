"""How HTTP says what went wrong: problem JSON (RFC 9457), or LibreTranslate's own shape.

Everything but a success is rendered here: our errors by one table, and the framework's own (unknown
path, wrong verb, unreadable form) beside them.
"""

import logging
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    EngineFailure,
    EngineStopped,
    IncompatibleOptions,
    InvalidOption,
    InvalidRequest,
    InvalidText,
    InvalidTimeout,
    NotReady,
    QueueFull,
    RequestCancelled,
    RequestError,
    RequestTooLarge,
    SegmentTooLong,
    ServiceError,
    TextTooLong,
    TooManyTexts,
    TooManyTokens,
    UnsupportedFormality,
    UnsupportedLanguage,
    UnsupportedPair,
    WaitTooLong,
)
from service.logs import REQUEST_ID, log_event
from service.schemas import explain_fields

LIBRETRANSLATE_PATHS = frozenset(
    {"/translate", "/detect", "/languages", "/health", "/frontend/settings"}
)

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; proxies and logs know the number
_RETRY_STATUSES = {429, 503}
_RETRY_AFTER_SECONDS = 1
_MAX_DETAIL_CHARACTERS = 500


@dataclass(frozen=True)
class ProblemType:
    """What stays the same for all problems of one kind; `slug` ends its type URI."""

    status: int
    slug: str
    title: str


PROBLEMS: dict[type[ServiceError], ProblemType] = {
    InvalidRequest: ProblemType(422, "invalid-request", "The request cannot be understood"),
    InvalidText: ProblemType(422, "invalid-text", "A text is not valid Unicode"),
    InvalidOption: ProblemType(422, "invalid-option", "An option is outside its range"),
    IncompatibleOptions: ProblemType(422, "incompatible-options", "Options do not go together"),
    UnsupportedLanguage: ProblemType(422, "unsupported-language", "The language is not supported"),
    UnsupportedPair: ProblemType(422, "unsupported-pair", "The direction is not supported"),
    UnsupportedFormality: ProblemType(
        422, "unsupported-formality", "The form of address is not supported"
    ),
    InvalidTimeout: ProblemType(400, "invalid-timeout", "The timeout cannot be understood"),
    TooManyTexts: ProblemType(422, "too-many-texts", "The request has too many texts"),
    SegmentTooLong: ProblemType(422, "segment-too-long", "A sentence is too long"),
    BodyTooLarge: ProblemType(413, "body-too-large", "The body is too large"),
    TextTooLong: ProblemType(413, "text-too-long", "The texts are too long"),
    TooManyTokens: ProblemType(413, "too-many-tokens", "The texts have too many tokens"),
    QueueFull: ProblemType(429, "queue-full", "Too much is waiting"),
    WaitTooLong: ProblemType(429, "wait-too-long", "The turn would come too late"),
    RequestCancelled: ProblemType(
        CLIENT_CLOSED_REQUEST, "request-cancelled", "The client closed the connection"
    ),
    NotReady: ProblemType(503, "not-ready", "The service is not ready"),
    EngineStopped: ProblemType(503, "engine-stopped", "The service is stopping"),
    DeadlineExceeded: ProblemType(504, "deadline-exceeded", "The answer took too long"),
    EngineFailure: ProblemType(500, "engine-failure", "The engine failed"),
}
REFUSALS = frozenset(
    problem.slug for problem in PROBLEMS.values() if problem.status in {400, 413, 422, 429, 503}
)
"""The problems of requests that are answered without work."""
_INTERNAL_ERROR = ProblemType(500, "internal-error", "Internal error")


def install_problem_handlers(app: FastAPI) -> None:
    """Render every error that a route raises; `service.middleware` handles all others."""
    for kind in (ServiceError, HTTPException, RequestValidationError, ClientDisconnect):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return respond(request, error)


def respond(request: Request, error: Exception) -> JSONResponse:
    """Render an error for the protocol that the path belongs to; log it if nobody foresaw it."""
    match error:
        case RequestValidationError():
            error = InvalidRequest(explain_fields(list(error.errors())))
        case ClientDisconnect():
            error = RequestCancelled("the client closed the connection while sending")
    problem, detail = _diagnose(request, error)
    request.state.problem = problem
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status in _RETRY_STATUSES:
        headers["Retry-After"] = str(_retry_after_seconds(error))
    if isinstance(error, BodyTooLarge):
        headers["Connection"] = "close"  # the rest of the body is not worth reading
    if request.url.path in LIBRETRANSLATE_PATHS:
        return _libretranslate_response(error, problem, detail, headers)
    return _problem_response(error, problem, detail, headers)


def _retry_after_seconds(error: Exception) -> int:
    """When as much time as was missing will have passed; else soon."""
    missing = error.missing_seconds if isinstance(error, WaitTooLong) else 0.0
    return max(_RETRY_AFTER_SECONDS, math.ceil(missing))


def _diagnose(request: Request, error: Exception) -> tuple[ProblemType, str]:
    match error:
        case ServiceError():
            return PROBLEMS[type(error)], str(error)
        case HTTPException():
            title = HTTPStatus(error.status_code).phrase
            problem = ProblemType(error.status_code, title.lower().replace(" ", "-"), title)
            return problem, _explain_http(request, error)
    log_event(logging.ERROR, "unexpected_error", error=error)
    return _INTERNAL_ERROR, "an unexpected error; the log has it by request id"


def _explain_http(request: Request, error: HTTPException) -> str:
    if error.status_code in (404, 405):
        return f"{request.method} {request.url.path} is not served; see /docs"
    return error.detail


def _problem_response(
    error: Exception, problem: ProblemType, detail: str, headers: dict[str, str]
) -> JSONResponse:
    is_ours = problem in PROBLEMS.values()
    body: dict[str, Any] = {
        "type": f"/docs#{problem.slug}" if is_ours else "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": _encodable(detail),
        "request_id": REQUEST_ID.get(),
    }
    if isinstance(error, ServiceError) and error.limit is not None:
        body |= {"limit": error.limit, "value": error.value}
    return JSONResponse(
        body, problem.status, headers=headers, media_type="application/problem+json"
    )


def _libretranslate_response(
    error: Exception, problem: ProblemType, detail: str, headers: dict[str, str]
) -> JSONResponse:
    """Say it in LibreTranslate's words, where it has some; a wrong request is always 400 there."""
    status = problem.status
    if isinstance(error, RequestError | RequestTooLarge) and not isinstance(error, BodyTooLarge):
        status = 400
    match error:
        case UnsupportedLanguage():
            detail = f"{error.code} is not supported"
        case TextTooLong() | TooManyTexts():
            detail = f"Invalid request: request ({error.value}) exceeds text limit ({error.limit})"
        case QueueFull() | WaitTooLong():
            detail = f"Slowdown: {detail}"
    return JSONResponse({"error": _encodable(detail)}, status, headers=headers)


def _encodable(detail: str) -> str:
    """Keep a detail short and encodable: it may repeat a name that the client chose."""
    return detail[:_MAX_DETAIL_CHARACTERS].encode(errors="backslashreplace").decode()
