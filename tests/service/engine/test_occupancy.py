"""What the engine holds, and what it counts, is true of all its workers together."""

from dataclasses import replace

from prometheus_client import CollectorRegistry

from service.engine.loop import Engine
from service.metrics import EngineMetrics
from tests.service.engine.driving import WAIT_SECONDS, StartEngine, finish, step
from tests.service.engine.toy_runner import ENDLESS, LIMITS, ToyRunner, ignore, make_job


def test_cache_memory_is_reported(engine: Engine) -> None:
    small = engine.occupancy.cache_bytes
    job = make_job([ENDLESS] * 100)
    engine.submit(job)
    step(engine)

    assert engine.occupancy.cache_bytes > small


def test_occupancy_is_that_of_all_workers(runner: ToyRunner) -> None:
    engine = Engine(runner, replace(LIMITS, num_workers=2), on_step=ignore)
    for limit in (30, 30, 60):
        engine.submit(make_job((ENDLESS,), max_target_tokens=limit))
    step(engine)
    engine.submit(make_job((ENDLESS, 4)))

    held = engine.occupancy

    assert (held.rows, held.slots) == (3, 32)
    assert (held.queue_segments, held.queue_tokens) == (1, 2)
    # Two rows of 32 tokens on one worker, one of 64 on the other.
    assert (held.reserved_tokens, held.max_reserved_tokens) == (128, 16_384)


def test_metrics_of_several_workers_lose_nothing(start: StartEngine) -> None:
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    engine = start(on_step=metrics.record, num_workers=3)
    metrics.watch(lambda: engine.occupancy)
    jobs = [make_job((ENDLESS, *range(4, 4 + n % 9)), max_target_tokens=7) for n in range(60)]

    for job in jobs:
        engine.submit(job)
    for job in jobs:
        job.future.result(timeout=WAIT_SECONDS)
    engine.drain(WAIT_SECONDS)

    value = registry.get_sample_value
    assert value("dragoman_segments_total", {"outcome": "finished"}) == 60
    num_source_tokens = sum(len(job.source_ids) for job in jobs)
    assert value("dragoman_tokens_total", {"kind": "source"}) == num_source_tokens
    assert value("dragoman_tokens_total", {"kind": "target"}) == 60 * 7
    assert value("dragoman_batch_rows_sum") == 60 * 7
    assert value("dragoman_rows_running") == value("dragoman_queue_depth") == 0
    assert value("dragoman_slots") == 3 * LIMITS.max_slots


def test_an_idle_engine_reserves_nothing(engine: Engine) -> None:
    job = make_job((4,), max_target_tokens=1)
    engine.submit(job)
    finish(engine, job)

    assert engine.occupancy.reserved_tokens == engine.occupancy.rows == 0
