"""How long a client waits, as it says in a header."""

import re
from collections.abc import Mapping
from typing import Any

from service.errors import InvalidTimeout

TIMEOUT_HEADER = "X-Request-Timeout"
TIMEOUT_PARAMETER: dict[str, list[dict[str, Any]]] = {
    "parameters": [
        {
            "name": TIMEOUT_HEADER,
            "in": "header",
            "description": "seconds that the client waits; the service may wait less",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        }
    ]
}
"""Describes the header for OpenAPI; it is read by hand, to be refused with a type of its own."""

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


def read_timeout(headers: Mapping[str, str], *, limit_seconds: float) -> float:
    """Say how long a request may take, in seconds: what its client waits, up to the limit.

    Args:
        headers: by name; names are found in any case.

    Raises:
        InvalidTimeout: if the header is there and no plain number above 0.
    """
    given = headers.get(TIMEOUT_HEADER)
    if given is None:
        return limit_seconds
    seconds = float(given) if _NUMBER.fullmatch(given) else None
    if seconds is None or seconds <= 0:
        raise InvalidTimeout(given, value=seconds, limit=limit_seconds)
    return min(seconds, limit_seconds)
