"""The server's own figures, out of what it exposes."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from deploy.loadtest.scrape import compare, parse
from service.engine.report import StepReport
from service.metrics import EngineMetrics, RequestMetrics


def a_step(*, rows: int, target_tokens: int, wasted_tokens: int) -> StepReport:
    return StepReport(
        rows=rows,
        admitted=0,
        finished=0,
        dropped=0,
        failed=0,
        source_tokens=0,
        padding_tokens=0,
        target_tokens=target_tokens,
        wasted_tokens=wasted_tokens,
        encode_seconds=0.0,
        decode_seconds=0.001,
    )


def test_series_keep_their_labels_and_comments_are_left_out() -> None:
    text = '# HELP a is a\na{x="1 2",y="}"} 3.5\nb 1e+06\n\nc NaN\n'

    series = parse(text)

    assert series.keys() == {'a{x="1 2",y="}"}', "b", "c"}
    assert (series['a{x="1 2",y="}"}'], series["b"]) == (3.5, 1e6)


def test_figures_are_of_the_time_between_two_scrapes() -> None:
    registry = CollectorRegistry()
    engine, requests = EngineMetrics(registry), RequestMetrics(registry)
    engine.record(a_step(rows=9, target_tokens=9, wasted_tokens=0))
    requests.count_refusal("not-ready")
    before = parse(generate_latest(registry).decode())
    for _ in range(2):
        engine.record(a_step(rows=3, target_tokens=2, wasted_tokens=1))
        requests.count_refusal("queue-full")

    figures = compare(before, parse(generate_latest(registry).decode()), queue_peak=7.0)

    assert figures.rows_per_step == pytest.approx(3.0)
    assert (figures.target_tokens, figures.wasted_tokens) == (4.0, 2.0)
    assert figures.refused == {"queue-full": 2}
    assert figures.queue_peak == 7.0


def test_nothing_done_is_zero_and_no_error() -> None:
    assert compare({}, {}, queue_peak=0.0).rows_per_step == 0.0
