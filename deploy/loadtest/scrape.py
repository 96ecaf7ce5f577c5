"""What the server says of itself at `/metrics`, before, during and after a load."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.loadtest.http_client import Connection

PATH = "/metrics"
PAUSE_SECONDS = 0.5  # between two looks at the queue
_SERIES = re.compile(r"^(?P<name>\w+(?:\{.*\})?) (?P<value>\S+)")
_REFUSAL = re.compile(r'dragoman_requests_refused_total\{reason="([^"]*)"\}')

Series = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ServerFigures:
    """The server's side of one load.

    Attributes:
        queue_peak: most sentences that were seen waiting.
        rows_per_step: hypotheses decoded together, on average.
        queue_seconds: mean wait of a sentence for its first slot.
        target_tokens, wasted_tokens: chosen, and chosen for clients that had left.
        refused: requests by the reason that the server gave.
    """

    queue_peak: float = 0.0
    rows_per_step: float = 0.0
    queue_seconds: float = 0.0
    target_tokens: float = 0.0
    wasted_tokens: float = 0.0
    refused: Mapping[str, int] = field(default_factory=dict)


def parse(text: str) -> dict[str, float]:
    """Values by series, labels included; comments are left out."""
    found = map(_SERIES.match, text.splitlines())
    return {match["name"]: float(match["value"]) for match in found if match}


def compare(before: Series, after: Series, queue_peak: float) -> ServerFigures:
    """What the counters of two scrapes say of the time between them."""

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    def mean(name: str) -> float:
        return grown(f"{name}_sum") / (grown(f"{name}_count") or 1.0)

    reasons = {match[1]: round(grown(name)) for name in after if (match := _REFUSAL.match(name))}
    return ServerFigures(
        queue_peak=queue_peak,
        rows_per_step=mean("dragoman_batch_rows"),
        queue_seconds=mean("dragoman_queue_time_seconds"),
        target_tokens=grown('dragoman_tokens_total{kind="target"}'),
        wasted_tokens=grown('dragoman_tokens_total{kind="wasted"}'),
        refused={reason: count for reason, count in sorted(reasons.items()) if count},
    )


class Watch:
    """Looks at a server from `start` to `stop`; a server without metrics has none to show."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before: Series | None = None
        self._queue_peak = 0.0

    async def start(self) -> None:
        """Note the counters, and begin to look at the queue."""
        self._before = await scrape(self._url)
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> ServerFigures | None:
        """Note the counters again; None if the server has no metrics."""
        self._looking.cancel()
        after = await scrape(self._url)
        if self._before is None or after is None:
            return None
        return compare(self._before, after, self._queue_peak)

    async def _look(self) -> None:
        while self._before is not None:
            series = await scrape(self._url) or {}
            self._queue_peak = max(self._queue_peak, series.get("dragoman_queue_depth", 0.0))
            await asyncio.sleep(PAUSE_SECONDS)


async def scrape(url: str) -> dict[str, float] | None:
    """All series now; None if the server does not show them."""
    try:
        async with Connection(url) as connection:
            answer = await connection.get(PATH)
    except (OSError, EOFError, ValueError):
        return None
    return parse(answer.body.decode()) if answer.status == 200 else None
