"""A translation as server-sent events, as it comes.

Source: WHATWG HTML, section 9.2, "Server-sent events".
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from service.disconnect import cancel_on_disconnect
from service.errors import ServiceError
from service.problems import respond
from service.schemas import TranslateReply
from service.served_model import ServedModel
from service.streaming import Delta, Event, SegmentEnd
from service.translation import TranslationReply

Events = AsyncGenerator[Event | TranslationReply, None]

# Proxies must pass every event on at once; the second header is nginx's.
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def respond_with_events(
    request: Request, model: ServedModel, events: Events
) -> StreamingResponse:
    """Answer with `events`; whatever is raised before the first one is a usual problem.

    Raises:
        ServiceError: see `Translator.stream` and `cancel_on_disconnect`.
    """
    first = await cancel_on_disconnect(request.receive, _next(events))
    return StreamingResponse(
        _write(request, model, first, events), media_type="text/event-stream", headers=_HEADERS
    )


async def _next(events: Events) -> Event | TranslationReply:
    return await anext(events)


async def _write(
    request: Request, model: ServedModel, first: Event | TranslationReply, events: Events
) -> AsyncIterator[str]:
    yield _frame(model, first)
    try:
        async for event in events:
            yield _frame(model, event)
    except ServiceError as error:  # the status line is gone: it is said in an event
        yield _write_frame("error", json.loads(bytes(respond(request, error).body)))


def _frame(model: ServedModel, event: Event | TranslationReply) -> str:
    match event:
        case Delta():
            return _write_frame("delta", asdict(event))
        case SegmentEnd():
            return _write_frame("segment", asdict(event))
        case TranslationReply():
            reply = TranslateReply.of(model, event)
            return _write_frame("done", reply.model_dump(exclude_none=True))


def _write_frame(kind: str, data: dict[str, Any]) -> str:
    # JSON has no line ends, so one line of data is enough.
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
