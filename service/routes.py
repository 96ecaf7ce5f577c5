"""The native API and the probes: paths and bodies, no logic."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.disconnect import cancel_on_disconnect
from service.documentation import documentation_page
from service.event_stream import respond_with_events
from service.lifecycle import Service
from service.schemas import (
    ModelReply,
    ModelsReply,
    StatusReply,
    TranslateBody,
    TranslateReply,
    inline_schema,
    read_translate_body,
)
from service.timeout import TIMEOUT_PARAMETER, read_timeout
from service.translate import Translator
from service.translation import TranslationReply, TranslationRequest

router = APIRouter()


async def get_service(request: Request) -> Service:
    """Find what all requests share."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(get_service)]


async def answer(
    request: Request, service: Service, wanted: TranslationRequest
) -> TranslationReply:
    """Translate for the client of `request`, for as long as it is there.

    Raises:
        ServiceError: see `read_timeout`, `Translator.translate` and `cancel_on_disconnect`.
    """
    return await _answer(request, _translator(request, service), wanted)


async def _answer(
    request: Request, translator: Translator, wanted: TranslationRequest
) -> TranslationReply:
    work = translator.translate(wanted, address(request))
    return await cancel_on_disconnect(request.receive, work)


def _translator(request: Request, service: Service) -> Translator:
    limit_seconds = service.settings.timeout_seconds
    return service.translator(read_timeout(request.headers, limit_seconds=limit_seconds))


def address(request: Request) -> str:
    """Say whose share of the engine a request takes."""
    return request.client.host if request.client else ""


_TRANSLATE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": inline_schema(TranslateBody)}},
    }
}


@router.post(
    "/v1/translate",
    tags=["native"],
    openapi_extra=_TRANSLATE_BODY | TIMEOUT_PARAMETER,
    response_model=TranslateReply,
    response_model_exclude_none=True,
)
async def translate(
    request: Request, service: ServiceDependency
) -> TranslateReply | StreamingResponse:
    """Translate texts; the translations are in the order of the texts.

    With `stream` the reply is `text/event-stream`: `delta` events with pieces of text, which put
    together are the translations; `segment` when a sentence is done; at last `done` with what the
    reply would have been, or `error` with a problem.
    """
    body = read_translate_body(await request.body())
    translator = _translator(request, service)
    if body.stream:
        events = translator.stream(body.to_request(), address(request))
        return await respond_with_events(request, translator.model, events)
    reply = await _answer(request, translator, body.to_request())
    return TranslateReply.of(translator.model, reply)


@router.get("/v1/models", tags=["native"])
async def models(service: ServiceDependency) -> ModelsReply:
    """Describe what is served: name, version, checksum, languages, scores."""
    return ModelsReply(models=[ModelReply.of(service.backend.model)])


@router.get("/livez", tags=["probes"])
async def livez() -> StatusReply:
    """Say that the process answers; it depends on nothing else."""
    return StatusReply(status="ok")


@router.get("/readyz", tags=["probes"])
async def readyz(service: ServiceDependency) -> StatusReply:
    """Say whether requests are taken: 503 while loading, stopping, or after a failure."""
    service.check_ready()
    return StatusReply(status="ready")


@router.get("/metrics", tags=["probes"], response_class=Response)
async def metrics(service: ServiceDependency) -> Response:
    """Export all metrics in Prometheus's text format."""
    return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False, response_class=HTMLResponse)
async def docs() -> str:
    """Show the API and try it; one page that loads nothing from elsewhere."""
    return documentation_page()
