import threading
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from service.engine.report import Occupancy
from service.metrics import EngineMetrics, PairMetrics, RequestMetrics, ServiceMetrics
from service.served_model import ServedModel
from tests.service.stub_engine import make_report


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_every_metric_has_the_prefix_and_a_meaning(registry: CollectorRegistry) -> None:
    for kind in (ServiceMetrics, RequestMetrics, EngineMetrics):
        kind(registry)

    for metric in registry.collect():
        assert metric.name.startswith(("dragoman_", "process_"))
        assert metric.documentation.endswith(".")


def test_there_is_no_series_for_the_birth_of_a_counter(registry: CollectorRegistry) -> None:
    EngineMetrics(registry)

    samples = [sample.name for metric in registry.collect() for sample in metric.samples]
    assert not [name for name in samples if name.endswith("_created")]


def test_steps_add_up(registry: CollectorRegistry) -> None:
    metrics = EngineMetrics(registry)

    metrics.record(
        make_report(finished=1, rows=4, target_tokens=4, source_tokens=9, padding_tokens=2)
    )
    metrics.record(make_report(finished=2, dropped=1, rows=2, target_tokens=2, wasted_tokens=3))

    value = registry.get_sample_value
    assert value("dragoman_segments_total", {"outcome": "finished"}) == 3
    assert value("dragoman_segments_total", {"outcome": "dropped"}) == 1
    assert value("dragoman_tokens_total", {"kind": "source"}) == 9
    assert value("dragoman_tokens_total", {"kind": "target"}) == 6
    assert value("dragoman_tokens_total", {"kind": "wasted"}) == 3
    assert value("dragoman_tokens_total", {"kind": "padding"}) == 2
    assert value("dragoman_batch_rows_sum") == 6
    assert value("dragoman_batch_tokens_sum") == 15


def test_gauges_show_what_the_engine_holds_at_the_scrape(registry: CollectorRegistry) -> None:
    held = [Occupancy()]
    EngineMetrics(registry).watch(lambda: held[-1])
    names = {
        "dragoman_queue_depth": 3,
        "dragoman_queue_tokens": 30,
        "dragoman_rows_running": 8,
        "dragoman_slots": 64,
        "dragoman_kv_cache_bytes": 4_096,
        "dragoman_kv_cache_usage_ratio": 0.25,
    }

    assert {registry.get_sample_value(name) for name in names} == {0}

    held.append(
        Occupancy(
            rows=8,
            slots=64,
            queue_segments=3,
            queue_tokens=30,
            cache_bytes=4_096,
            reserved_tokens=256,
            max_reserved_tokens=1_024,
        )
    )
    assert {name: registry.get_sample_value(name) for name in names} == names


def test_no_step_is_lost_when_workers_record_at_once(registry: CollectorRegistry) -> None:
    metrics = EngineMetrics(registry)

    def work() -> None:
        for _ in range(500):
            metrics.record(make_report(finished=1, rows=2, target_tokens=2, decode_seconds=0.5))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    value = registry.get_sample_value
    assert value("dragoman_segments_total", {"outcome": "finished"}) == 4_000
    assert value("dragoman_tokens_total", {"kind": "target"}) == 8_000
    assert value("dragoman_batch_rows_sum") == 8_000
    assert value("dragoman_decode_step_seconds_count") == 4_000


def test_a_step_that_ran_nothing_is_no_decoding_step(registry: CollectorRegistry) -> None:
    EngineMetrics(registry).record(make_report(dropped=1))

    assert registry.get_sample_value("dragoman_decode_step_seconds_count") == 0
    assert registry.get_sample_value("dragoman_encode_seconds_count") == 0


def test_a_text_without_tokens_has_no_length_ratio(registry: CollectorRegistry) -> None:
    PairMetrics(registry).count_text(
        pair="de-en", finish_reason="unchanged", num_characters=1, source_tokens=0, target_tokens=0
    )

    assert registry.get_sample_value("dragoman_length_ratio_count", {"pair": "de-en"}) is None


def test_the_model_is_shown_with_its_threads(
    registry: CollectorRegistry, model: ServedModel
) -> None:
    ServiceMetrics(registry).show_model(replace(model, num_workers=2))

    labels = {
        "model": "stub",
        "version": "1.0",
        "sha256": model.sha256,
        "provider": "CPUExecutionProvider",
        "precision": "int8",
        "threads": "2",
    }
    assert registry.get_sample_value("dragoman_model_info", labels) == 1
