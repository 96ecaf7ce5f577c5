"""Peers as servers on this machine: users who wait, and users who come by chance."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from statistics import median
from typing import Any

from rich.console import Console

from deploy.bench.agreement import Agreement, compare, require_agreement
from deploy.bench.chart import Bar
from deploy.bench.load import Load, closed_loop, open_loop
from deploy.bench.peers import OURS, Files, Setup
from deploy.bench.plan import Plan
from deploy.bench.race import PERCENTILES
from deploy.bench.sentences import Sentence
from deploy.bench.servers import CTRANSLATE2_APP, Server, all_servers
from deploy.bench.summary import Ratio, percentile, ratio
from deploy.loadtest.http_client import Connection, translated_text

SETUP = Setup(precision="int8", num_workers=2, batch_size=1, beam_size=1)
RATE_SHARES = (0.5, 0.9)  # of what CTRANSLATE2_APP manages with users who wait


@dataclass(frozen=True, kw_only=True)
class ServedRow:
    """One server under one kind of load.

    Attributes:
        load: in words; ratio: ours against it, None for ours: translations a second where users
            wait, else the median latency turned over.
        rounds: all, round i beside round i of the others.
    """

    subject: str
    server: str
    load: str
    agreement: Agreement
    rounds: tuple[Load, ...]
    ratio: Ratio | None
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Translations a second, the median over rounds."""
        return median(one.rate for one in self.rounds)

    @property
    def failures(self) -> int:
        """Requests without a translation, in all rounds."""
        return sum(one.failures for one in self.rounds)

    def latencies(self) -> list[float]:
        """Percentiles of the seconds of a translation."""
        return _percentiles([seconds for one in self.rounds for seconds in one.latencies])

    def health(self) -> list[float]:
        """Percentiles of the seconds of a health check."""
        return _percentiles([seconds for one in self.rounds for seconds in one.health])

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "subject": self.subject,
            "server": self.server,
            "load": self.load,
            "requests_per_second": self.rate,
            "latency_seconds": dict(zip(PERCENTILES, self.latencies(), strict=True)),
            "health_seconds": dict(zip(PERCENTILES, self.health(), strict=True)),
            "failures": self.failures,
            "peak_bytes": self.peak_bytes,
            "ours_to_peer": asdict(self.ratio) if self.ratio else None,
            "agreement": asdict(self.agreement),
            "rounds": [one.rate for one in self.rounds],
        }


def _percentiles(values: Sequence[float]) -> list[float]:
    return [percentile(values, percent) for percent in PERCENTILES] if values else [0.0] * 3


def run_service(
    plan: Plan,
    models: Mapping[str, Files],
    sentences: Sequence[Sentence],
    console: Console,
) -> list[ServedRow]:
    """All rows of a plan; each is printed when it is known.

    Raises:
        Disagreement: if a server translates too differently.
    """
    rows: list[ServedRow] = []
    for subject, files in models.items():
        with all_servers(files) as servers:
            agreements = _check(servers, sentences)
            trial = _Trial(plan, subject, servers, agreements, console)
            for num_clients in plan.clients:
                trial.closed(sentences, num_clients)
            fastest = max(row.rate for row in trial.rows if row.server == CTRANSLATE2_APP)
            for share in RATE_SHARES:
                trial.open(sentences, share * fastest)
            rows += trial.rows
    return rows


def _check(servers: Sequence[Server], sentences: Sequence[Sentence]) -> dict[str, Agreement]:
    """Compare the characters of all translations with ours; it warms the servers up, too."""
    found = {server.name: asyncio.run(_translate(server, sentences)) for server in servers}
    agreements = {}
    for name, texts in found.items():
        agreements[name] = compare(_codes(texts), _codes(found[OURS]))
        require_agreement(name, SETUP, agreements[name])
    return agreements


def _codes(texts: Sequence[str]) -> list[list[int]]:
    return [list(map(ord, text)) for text in texts]


async def _translate(server: Server, sentences: Sequence[Sentence]) -> list[str]:
    async with Connection(server.url) as connection:
        return [
            translated_text(await connection.translate(one.text, one.source, one.target))
            for one in sentences
        ]


class _Trial:
    """Puts load on all servers in turns."""

    def __init__(
        self,
        plan: Plan,
        subject: str,
        servers: Sequence[Server],
        agreements: dict[str, Agreement],
        console: Console,
    ) -> None:
        self._plan, self._subject, self._servers = plan, subject, servers
        self._agreements, self._console = agreements, console
        self.rows: list[ServedRow] = []

    def closed(self, sentences: Sequence[Sentence], num_clients: int) -> None:
        """Users who wait for each answer."""
        seconds = self._plan.seconds
        self._rounds(
            f"{num_clients} users",
            lambda server: closed_loop(server.url, sentences, num_clients, seconds),
            attrgetter("rate"),
        )

    def open(self, sentences: Sequence[Sentence], rate: float) -> None:
        """Users who come by chance."""
        seconds = self._plan.seconds
        self._rounds(
            f"{rate:.0f} requests/s",
            lambda server: open_loop(server.url, sentences, rate, seconds),
            attrgetter("quickness"),  # the rate is what was asked for
        )

    def _rounds(
        self,
        load: str,
        put: Callable[[Server], Coroutine[Any, Any, Load]],
        speed: Callable[[Load], float],
    ) -> None:
        rounds: dict[str, list[Load]] = {server.name: [] for server in self._servers}
        for number in range(self._plan.laps):
            for server in self._servers[:: -1 if number % 2 else 1]:
                rounds[server.name].append(asyncio.run(put(server)))
        speeds = {name: list(map(speed, found)) for name, found in rounds.items()}
        rows = [
            ServedRow(
                subject=self._subject,
                server=server.name,
                load=load,
                agreement=self._agreements[server.name],
                rounds=tuple(rounds[server.name]),
                ratio=None if server.name == OURS else ratio(speeds[OURS], speeds[server.name]),
                peak_bytes=server.peak_bytes,
            )
            for server in self._servers
        ]
        self._print(rows)
        self.rows += rows

    def _print(self, rows: Sequence[ServedRow]) -> None:
        self._console.print(f"\n{self._subject}, {rows[0].load}")
        for row in rows:
            latencies = "/".join(f"{1e3 * value:.0f}" for value in row.latencies())
            health = "/".join(f"{1e3 * value:.0f}" for value in row.health())
            self._console.print(
                f"  {row.server:16} same {row.agreement.same:4.0%} {row.rate:7.1f} requests/s "
                f" p50/p95/p99 {latencies} ms  health {health} ms  {row.failures} failed "
                f"{row.peak_bytes / 2**20:6.0f} MB"
                + (f"  ours {row.ratio} times" if row.ratio else "")
            )


def bars(rows: Sequence[ServedRow]) -> list[Bar]:
    """One bar for every server and load."""
    return [Bar(f"{row.subject}, {row.load}: {row.server}", row.ratio) for row in rows if row.ratio]
