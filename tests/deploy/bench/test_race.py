"""The order of a race: agreement first, then laps in turns."""

from collections.abc import Sequence

import pytest

from deploy.bench import race as racing
from deploy.bench.agreement import Disagreement
from deploy.bench.peers import Files, Ids, Setup
from deploy.bench.race import race

SOURCES: list[Ids] = [[1, 2], [3]]


class EchoPeer:
    """Answers with the source, and notes who was asked for how many."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        self.name, self.calls, self.is_closed = name, calls, False

    def translate(self, sources: Sequence[Ids]) -> list[list[int]]:
        self.calls.append((self.name, len(sources)))
        return [list(source) for source in sources]

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> dict[str, EchoPeer]:
    calls: list[tuple[str, int]] = []
    echoes = {name: EchoPeer(name, calls) for name in ("dragoman", "ctranslate2")}
    monkeypatch.setattr(racing, "open_peer", lambda name, files, setup: echoes[name])
    return echoes


def a_setup(batch_size: int) -> Setup:
    return Setup(precision="float32", num_workers=1, batch_size=batch_size, beam_size=1)


def test_laps_alternate_and_turn_round(peers: dict[str, EchoPeer], files: Files) -> None:
    found = race(list(peers), files, a_setup(2), SOURCES, SOURCES, num_laps=2)

    order = [name for name, _ in peers["dragoman"].calls]
    assert order[:2] == ["dragoman", "ctranslate2"]  # the check
    assert order[2:] == ["dragoman", "ctranslate2", "ctranslate2", "dragoman"]
    for result in found.values():
        assert [(lap.tokens, lap.sentences) for lap in result.laps] == [(5, 2)] * 2
        assert result.latencies == {}


def test_one_worker_and_a_batch_of_one_is_timed_sentence_by_sentence(
    peers: dict[str, EchoPeer], files: Files
) -> None:
    found = race(["dragoman"], files, a_setup(1), SOURCES, SOURCES, num_laps=3)

    assert peers["dragoman"].calls == [("dragoman", 2)] + [("dragoman", 1)] * 6
    assert set(found["dragoman"].latencies) == {50, 95, 99}


def test_nothing_is_timed_that_disagrees(peers: dict[str, EchoPeer], files: Files) -> None:
    with pytest.raises(Disagreement):
        race(list(peers), files, a_setup(2), SOURCES, [[9, 9], [9]], num_laps=1)

    assert peers["dragoman"].calls == [("dragoman", 2)]
    assert all(peer.is_closed for peer in peers.values())
