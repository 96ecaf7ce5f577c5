"""LibreTranslate's API, so that its clients work unchanged.

Source: LibreTranslate, `libretranslate/app.py`: fields, error texts, shapes of the replies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

from service.characters import check_characters
from service.detect import Detection
from service.errors import InvalidRequest
from service.routes import ServiceDependency, answer
from service.schemas import parse_json
from service.timeout import TIMEOUT_PARAMETER
from service.translation import AUTO, OptionsWish, TranslationReply, TranslationRequest

router = APIRouter(tags=["LibreTranslate"])

_TRANSLATE_FIELDS: dict[str, dict[str, Any]] = {
    "q": {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "example": "Das Wetter ist heute sehr schön.",
    },
    "source": {"type": "string", "example": "de", "description": "a language code, or auto"},
    "target": {"type": "string", "example": "en"},
    "format": {"type": "string", "enum": ["text"], "default": "text"},
    "alternatives": {"type": "integer", "default": 0},
    "api_key": {"type": "string", "description": "accepted and ignored"},
}


def _body(fields: Iterable[str]) -> dict[str, Any]:
    """Describe a body for OpenAPI; it is read by hand, as JSON, form or query string."""
    required = [name for name in fields if name in ("q", "source", "target")]
    properties = {name: _TRANSLATE_FIELDS[name] for name in fields}
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


@dataclass(frozen=True, kw_only=True)
class TranslateWish:
    """A request, and the shape that its reply must have.

    Attributes:
        request: what to translate.
        is_array: the reply has an array where `q` had one.
        num_alternatives: 0 leaves them out of the reply.
    """

    request: TranslationRequest
    is_array: bool
    num_alternatives: int

    def shape(self, reply: TranslationReply) -> dict[str, Any]:
        """Give a reply LibreTranslate's shape."""
        columns: dict[str, list[Any]] = {
            "translatedText": [t.candidates[0].text for t in reply.translations]
        }
        if self.request.source == AUTO:
            columns["detectedLanguage"] = [
                shape_detection(t.detection) for t in reply.translations if t.detection
            ]
        if self.num_alternatives:
            columns["alternatives"] = [
                [candidate.text for candidate in t.candidates[1:]] for t in reply.translations
            ]
        return columns if self.is_array else {name: column[0] for name, column in columns.items()}


def shape_detection(detection: Detection) -> dict[str, Any]:
    """Write a detection as LibreTranslate does: confidence from 0 to 100."""
    return {"confidence": round(100 * detection.confidence, 1), "language": detection.language}


async def read_values(request: Request) -> dict[str, Any]:
    """Read the fields of a request: JSON, else the query string before the form.

    Clients send forms with no content type, and people send JSON as a form (`curl -d` does): what
    begins like a JSON object is read as one.

    Raises:
        InvalidRequest: if JSON is announced or begun, and the body is no JSON object.
    """
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.endswith("json") or body.lstrip().startswith(b"{"):
        return _read_object(body)
    pairs: list[tuple[str, str | UploadFile]] = list(request.query_params.multi_items())
    if kind == "multipart/form-data":
        async with request.form() as form:
            pairs += form.multi_items()
    else:
        pairs += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, str):  # a file is not a field
            values.setdefault(name, value.replace("\r\n", "\n").replace("\r", "\n"))
    return values


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        values = parse_json(body)
    except InvalidRequest:
        values = None
    if not isinstance(values, dict):
        raise InvalidRequest("Invalid JSON format")
    return values


def read_wish(values: dict[str, Any], *, max_alternatives: int) -> TranslateWish:
    """Understand the fields of `POST /translate`; limits on texts are checked later.

    Raises:
        InvalidRequest: with LibreTranslate's text, if a field is missing or not acceptable.
    """
    texts = read_texts(values)
    for name in ("source", "target"):
        if not values.get(name):
            raise InvalidRequest(f"Invalid request: missing {name} parameter")
    if (text_format := values.get("format") or "text") != "text":
        raise InvalidRequest(f"{text_format} format is not supported")
    num_alternatives = _read_count(values.get("alternatives"), "alternatives")
    if num_alternatives > max_alternatives:
        raise InvalidRequest(
            f"Invalid request: alternatives parameter must be <= {max_alternatives}"
        )
    return TranslateWish(
        request=TranslationRequest(
            texts=texts,
            source=str(values["source"]),
            target=str(values["target"]),
            options=OptionsWish(num_hypotheses=num_alternatives + 1),
        ),
        is_array=isinstance(values["q"], list),
        num_alternatives=num_alternatives,
    )


def read_texts(values: dict[str, Any]) -> tuple[str, ...]:
    """Read `q`, a string or an array of strings.

    Raises:
        InvalidRequest: if it is missing, empty, or holds anything else.
        InvalidText: if it holds half a surrogate pair.
    """
    q = values.get("q")
    if not q:
        raise InvalidRequest("Invalid request: missing q parameter")
    texts = tuple(q) if isinstance(q, list) else (q,)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidRequest("Invalid request: q parameter is not a string or array of strings")
        check_characters(text, "q")
    return texts


def _read_count(value: Any, name: str) -> int:
    try:
        return max(0, int(value or 0))
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(f"Invalid request: {name} parameter is not a number") from None


@router.post("/translate", openapi_extra=_body(_TRANSLATE_FIELDS) | TIMEOUT_PARAMETER)
async def translate(request: Request, service: ServiceDependency) -> JSONResponse:
    """Translate a string, or an array of strings; the reply has the same shape."""
    wish = read_wish(await read_values(request), max_alternatives=service.settings.max_alternatives)
    return JSONResponse(wish.shape(await answer(request, service, wish.request)))


@router.post("/detect", openapi_extra=_body(("q", "api_key")))
async def detect(request: Request, service: ServiceDependency) -> JSONResponse:
    """List the languages a text may be in, most likely first."""
    detector = service.backend.detector
    texts = read_texts(await read_values(request))
    return JSONResponse([shape_detection(found) for found in detector.rank("\n".join(texts))])


@router.get("/languages")
async def languages(service: ServiceDependency) -> JSONResponse:
    """List the languages, and what each can be translated to."""
    model = service.backend.model
    return JSONResponse(
        [
            {"code": code, "name": name, "targets": model.targets_of(code)}
            for code, name in model.languages.items()
        ]
    )


@router.get("/health")
async def health() -> JSONResponse:
    """Say that the process answers; whether it translates is asked at /readyz."""
    return JSONResponse({"status": "ok"})


@router.get("/frontend/settings")
async def frontend_settings(service: ServiceDependency) -> JSONResponse:
    """Tell front ends the limits, and which features there are."""
    model = service.backend.model
    code, name = next(iter(model.languages.items()))
    return JSONResponse(
        {
            "charLimit": service.settings.max_text_characters,
            "frontendTimeout": 500,
            "apiKeys": False,
            "keyRequired": False,
            "suggestions": False,
            "filesTranslation": False,
            "supportedFilesFormat": [],
            "language": {
                "source": {"code": AUTO, "name": "Auto Detect"},
                "target": {"code": code, "name": name},
            },
        }
    )
