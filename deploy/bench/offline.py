"""Peers without HTTP: all combinations of a plan, each checked, then timed in alternation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console

from deploy.bench.chart import Bar
from deploy.bench.memory import peak_bytes
from deploy.bench.peers import OURS, Files, Ids, Setup, open_peer
from deploy.bench.plan import Plan
from deploy.bench.race import Result, race
from deploy.bench.sentences import Sentence
from deploy.bench.summary import Ratio, ratio
from model import checkpoint

REFERENCE = "pytorch"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One peer in one setup of one model.

    Attributes:
        ratio: target tokens a second of ours against this peer's; None for ours.
        peak_bytes: of a process with this peer alone.
    """

    subject: str
    setup: Setup
    peer: str
    result: Result
    ratio: Ratio | None
    peak_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, single laps included."""
        return {
            "subject": self.subject,
            **asdict(self.setup),
            "peer": self.peer,
            "tokens_per_second": median(self.result.token_rates),
            "sentences_per_second": self.result.sentence_rate,
            "latency_seconds": self.result.latencies,
            "peak_bytes": self.peak_bytes,
            "ours_to_peer": asdict(self.ratio) if self.ratio else None,
            "agreement": asdict(self.result.agreement),
            "laps": [
                {"seconds": lap.seconds, "tokens": lap.tokens, "sentences": lap.sentences}
                for lap in self.result.laps
            ],
        }


def run_offline(
    plan: Plan,
    models: Mapping[str, Files],
    sentences: Sequence[Sentence],
    console: Console,
) -> list[Row]:
    """All rows of a plan; each is printed when it is known.

    Raises:
        Disagreement: if a peer does not translate as the reference does.
    """
    rows: list[Row] = []
    for subject, files in models.items():
        tokenizer = checkpoint.load(files.checkpoint).tokenizer
        sources = [sentence.ids(tokenizer) for sentence in sentences]
        wanted = {beam_size: _translate(files, beam_size, sources) for beam_size in plan.beams}
        for setup in plan.setups():
            found = race(
                plan.peers, files, setup, sources, wanted[setup.beam_size], num_laps=plan.laps
            )
            new = list(_rows(subject, files, setup, found, sources))
            _print(new, console)
            rows += new
    return rows


def _translate(files: Files, beam_size: int, sources: Sequence[Ids]) -> list[list[int]]:
    setup = Setup(precision="float32", num_workers=1, batch_size=16, beam_size=beam_size)
    peer = open_peer(REFERENCE, files, setup)
    try:
        return peer.translate(sources)
    finally:
        peer.close()


def _rows(
    subject: str, files: Files, setup: Setup, found: dict[str, Result], sources: Sequence[Ids]
) -> Iterator[Row]:
    ours = found.get(OURS)
    for name, result in found.items():
        yield Row(
            subject=subject,
            setup=setup,
            peer=name,
            result=result,
            ratio=ratio(ours.token_rates, result.token_rates) if ours and name != OURS else None,
            peak_bytes=peak_bytes(name, files, setup, sources),
        )


def _print(rows: Sequence[Row], console: Console) -> None:
    """Agreement, speed, latency, memory, and ours against it, of all peers in one setup."""
    setup = rows[0].setup
    console.print(
        f"\n{rows[0].subject}, {setup.precision}, beam {setup.beam_size}, "
        f"{setup.num_workers} worker(s), batch {setup.batch_size}"
    )
    for row in rows:
        latencies = "/".join(f"{1e3 * value:.1f}" for value in row.result.latencies.values())
        console.print(
            f"  {row.peer:12} same {row.result.agreement.same:4.0%} "
            f"{median(row.result.token_rates):8.0f} tokens/s {row.result.sentence_rate:7.1f} "
            f"sentences/s {row.peak_bytes / 2**20:6.0f} MB"
            + (f"  p50/p95/p99 {latencies} ms" if latencies else "")
            + (f"  ours {row.ratio} times" if row.ratio else "")
        )


def bars(rows: Sequence[Row]) -> list[Bar]:
    """One bar for every peer and setup."""
    return [
        Bar(
            f"{row.subject} {row.setup.precision} beam {row.setup.beam_size}, "
            f"{row.setup.num_workers}x{row.setup.batch_size}: {row.peer}",
            row.ratio,
        )
        for row in rows
        if row.ratio
    ]
