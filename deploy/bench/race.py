"""Peers against each other on one workload, in alternation, in one process."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from deploy.bench.agreement import Agreement, compare, require_agreement
from deploy.bench.peers import Files, Ids, Peer, Setup, offers, open_peer
from deploy.bench.summary import percentile

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Lap:
    """One peer over the whole workload, once.

    Attributes:
        seconds: it took; tokens: that were written, `eos` included; sentences: translated.
        latencies: seconds of each call, where sentences were handed over one by one.
    """

    seconds: float
    tokens: int
    sentences: int
    latencies: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """All laps of one peer; lap i ran beside lap i of the others."""

    agreement: Agreement
    laps: tuple[Lap, ...]

    @property
    def token_rates(self) -> list[float]:
        """Target tokens a second, by lap."""
        return [lap.tokens / lap.seconds for lap in self.laps]

    @property
    def sentence_rate(self) -> float:
        """Sentences a second, the median over laps."""
        return median(lap.sentences / lap.seconds for lap in self.laps)

    @property
    def latencies(self) -> dict[int, float]:
        """Seconds of one sentence, by percentile over all laps; empty if not measured."""
        calls = [seconds for lap in self.laps for seconds in lap.latencies]
        return {percent: percentile(calls, percent) for percent in PERCENTILES} if calls else {}


def race(
    names: Sequence[str],
    files: Files,
    setup: Setup,
    sources: Sequence[Ids],
    wanted: Sequence[Ids],
    *,
    num_laps: int,
) -> dict[str, Result]:
    """Time those of `names` that can do `setup`, after they agree.

    With one worker and a batch of one, sentences are handed over one by one, and each is timed.

    Args:
        wanted: what the reference makes of `sources` in float32.
    Raises:
        Disagreement: if a peer does not do the same work.
    """
    peers = {name: open_peer(name, files, setup) for name in names if offers(name, setup)}
    try:
        agreements = {}
        for name, peer in peers.items():  # which warms it up, too
            agreements[name] = compare(peer.translate(sources), wanted)
            require_agreement(name, setup, agreements[name])
        laps = _alternate(peers, sources, num_laps, one_by_one=is_one_by_one(setup))
    finally:
        for peer in peers.values():
            peer.close()
    return {name: Result(agreement=agreements[name], laps=tuple(laps[name])) for name in peers}


def is_one_by_one(setup: Setup) -> bool:
    """Whether latency is what this setup is about."""
    return setup.num_workers == setup.batch_size == 1


def _alternate(
    peers: Mapping[str, Peer], sources: Sequence[Ids], num_laps: int, *, one_by_one: bool
) -> dict[str, list[Lap]]:
    """Laps of all peers in turns; every other round goes backwards, so that no place is better."""
    laps: dict[str, list[Lap]] = {name: [] for name in peers}
    for number in range(num_laps):
        for name in list(peers)[:: -1 if number % 2 else 1]:
            laps[name].append(_lap(peers[name], sources, one_by_one=one_by_one))
    return laps


def _lap(peer: Peer, sources: Sequence[Ids], *, one_by_one: bool) -> Lap:
    calls = [[source] for source in sources] if one_by_one else [list(sources)]
    targets: list[list[int]] = []
    seconds = []
    for call in calls:
        started = time.perf_counter()
        targets += peer.translate(call)
        seconds.append(time.perf_counter() - started)
    return Lap(
        seconds=sum(seconds),
        tokens=sum(len(target) + 1 for target in targets),
        sentences=len(sources),
        latencies=tuple(seconds) if one_by_one else (),
    )
