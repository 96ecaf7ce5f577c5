"""The least HTTP client that keeps a connection open, so that it takes little of the CPU."""

import asyncio
import json
import ssl
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 20.0  # of one answer


class Answer(NamedTuple):
    """Status code and body of a response."""

    status: int
    body: bytes


class Connection:
    """One connection to a server, a context manager; one request at a time.

    Args:
        url: of the server, http or https; a path in it goes before every path asked for.
        timeout_seconds: of one answer.
    Raises:
        ValueError: if `url` is none of a server.
    """

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http or https address")
        self._host, self._head = parts.hostname, f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout_seconds = timeout_seconds

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def open(self) -> None:
        """Connect.

        Raises:
            OSError: if nobody listens.
            TimeoutError: if that takes too long.
        """
        async with asyncio.timeout(self._timeout_seconds):
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._tls
            )

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def get(self, path: str) -> Answer:
        """Fetch `path`."""
        return await self._ask(f"GET {self._prefix}{path} HTTP/1.1\r\n{self._head}\r\n".encode())

    async def post(self, path: str, content: object, **fields: str) -> Answer:
        """Send `content` as JSON; `fields` are more of the head, `x_request_id="a"` for example."""
        body = json.dumps(content).encode()
        fields |= {"content_type": "application/json", "content_length": str(len(body))}
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        head = f"POST {self._prefix}{path} HTTP/1.1\r\n{self._head}{more}\r\n"
        return await self._ask(head.encode() + body)

    async def translate(self, text: str, source: str, target: str) -> Answer:
        """Ask as clients of LibreTranslate do."""
        return await self.post("/translate", {"q": text, "source": source, "target": target})

    async def _ask(self, request: bytes) -> Answer:
        """Send and receive.

        Raises:
            OSError, EOFError: if the server closes the connection.
            TimeoutError: if it does not answer in time.
            ValueError: if it does not say how long its answer is.
        """
        async with asyncio.timeout(self._timeout_seconds):
            self._writer.write(request)
            await self._writer.drain()
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, length = read_head(head)
            return Answer(status, await self._reader.readexactly(length))


def read_head(head: bytes) -> tuple[int, int]:
    """Status code and length of the body.

    Raises:
        ValueError: if there is no length.
    """
    first, *fields = head.decode("latin-1").split("\r\n")
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length":
            return int(first.split()[1]), int(value)
    raise ValueError(f"no Content-Length after {first!r}")


def translated_text(answer: Answer) -> str:
    """The translation in an answer.

    Raises:
        ValueError: if the server refused or failed.
    """
    if answer.status != 200:
        raise ValueError(f"status {answer.status}: {answer.body[:200]!r}")
    content: dict[str, Any] = json.loads(answer.body)
    return str(content["translatedText"])
