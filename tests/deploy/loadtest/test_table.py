"""The table says every figure once, in its column."""

from deploy.loadtest.scrape import ServerFigures
from deploy.loadtest.table import COLUMNS, markdown
from tests.deploy.loadtest.stages import a_stage, replies

SERVER = ServerFigures(
    queue_peak=41.0,
    rows_per_step=30.5,
    target_tokens=90.0,
    wasted_tokens=10.0,
    refused={"queue-full": 15},
)


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_every_figure_is_in_its_column() -> None:
    stage = a_stage(2.0, replies(50, 0.5), replies(15, 0.02, outcome="429"), server=SERVER)

    head, _, row = rows(markdown([stage]))

    assert tuple(head) == COLUMNS
    assert dict(zip(head, row, strict=True)) == {
        "load": "2.0 x",
        "offered/s": "6.5",
        "answered/s": "5.0",
        "goodput/s": "5.0",
        "p50 s": "0.50",
        "p95 s": "0.50",
        "p99 s": "0.50",
        "refused p95 ms": "20",
        "not translated": "429: 15 (queue-full: 15)",
        "queue peak": "41",
        "rows/step": "30.5",
        "wasted tokens": "10.0%",
    }


def test_what_is_not_known_is_a_dash_and_lines_are_of_one_length() -> None:
    text = markdown([a_stage(1.0), a_stage(2.0, replies(3, 0.5), server=SERVER)])

    assert rows(text)[2][4:] == ["-"] * 8
    assert len({len(line) for line in text.splitlines()}) == 1
