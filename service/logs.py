"""One line for each event: `time level event key=value ...`, and never any source text."""

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

logger = logging.getLogger("dragoman")


def log_event(level: int, event: str, *, error: BaseException | None = None, **fields: Any) -> None:
    """Log one event; `error` adds its traceback, on the same line."""
    logger.log(level, event, extra={"fields": fields}, exc_info=error)


def configure_logging(level: str) -> None:
    """Send everything to standard error, one line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(level.upper())


class LineFormatter(logging.Formatter):
    """`2025-01-31T12:00:00.123Z INFO request request_id=4f.. path=/translate status=200`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line; values with spaces or control characters are quoted."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {}
        if request_id := REQUEST_ID.get():
            fields["request_id"] = request_id
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        head = (
            f"{moment}.{int(record.msecs):03}Z {record.levelname} {_one_line(record.getMessage())}"
        )
        return " ".join([head, *(f"{name}={_quote(value)}" for name, value in fields.items())])


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def _quote(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = text.isprintable() and not any(character in ' "=' for character in text)
    return text if text and plain else json.dumps(text)
