"""The least HTTP client that keeps a connection open, so that it takes little of the CPU."""

import asyncio
import json
from types import TracebackType
from typing import Any, NamedTuple, Self

TIMEOUT_SECONDS = 20.0  # of one answer


class Answer(NamedTuple):
    """Status code and body of a response."""

    status: int
    body: bytes


class Connection:
    """One connection to a server on this machine, a context manager; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def renew(self) -> None:
        """Begin again after an error, which leaves an answer half read."""
        self._writer.close()
        await self._open()

    async def get(self, path: str) -> Answer:
        """Fetch `path`."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def translate(self, text: str, source: str, target: str) -> Answer:
        """Ask as clients of LibreTranslate do; all servers here know that."""
        body = json.dumps({"q": text, "source": source, "target": target}).encode()
        head = (
            "POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return await self._ask(head.encode() + body)

    async def _ask(self, request: bytes) -> Answer:
        """Send and receive.

        Raises:
            OSError, EOFError: if the server closes the connection.
            TimeoutError: if it does not answer in time.
            ValueError: if it does not say how long its answer is.
        """
        async with asyncio.timeout(TIMEOUT_SECONDS):
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
