"""Every series that /metrics may show, and the metrics that an expression asks for."""

import re
from collections import defaultdict

from prometheus_client import CollectorRegistry

from service.engine.job import Hypothesis, JobResult
from service.metrics import EngineMetrics, RequestMetrics, ServiceMetrics
from service.served_model import ServedModel

SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to all that it scrapes."""

_NAME = re.compile(r"\b((?:dragoman|process)_\w+|(?:job|instance):[\w:]+|up\b)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')


def fill_registry() -> CollectorRegistry:
    """All metrics, after one of everything has happened."""
    registry = CollectorRegistry()
    ServiceMetrics(registry).show_model(_model())
    EngineMetrics(registry)
    requests = RequestMetrics(registry)
    requests.count_request("native", "ok", 0.5)
    requests.count_refusal("queue-full")
    requests.observe_segment(_result())
    requests.pairs.count_segment("de-en", _result().hypotheses[0], is_loop=False)
    requests.pairs.count_text(
        pair="de-en", finish_reason="stop", num_characters=9, source_tokens=3, target_tokens=3
    )
    return registry


def exposed_labels() -> dict[str, set[str]]:
    """Name of a series -> names of its labels."""
    labels: dict[str, set[str]] = defaultdict(set)
    for family in fill_registry().collect():
        for sample in family.samples:
            labels[sample.name] |= set(sample.labels)
    return dict(labels)


def asked_for(expression: str) -> list[tuple[str, dict[str, str]]]:
    """The metrics that an expression names, each with its matchers: label -> value."""
    return [
        (name, dict(_MATCHER.findall(matchers or "")))
        for name, matchers in _NAME.findall(expression)
    ]


def _result() -> JobResult:
    hypothesis = Hypothesis(
        token_ids=(7, 8), token_log_probs=(-0.5, -1.0, -1.5), score=-1.0, finish_reason="stop"
    )
    return JobResult(
        hypotheses=(hypothesis,),
        queue_seconds=0.1,
        first_token_seconds=0.2,
        decode_seconds=0.3,
        num_steps=3,
    )


def _model() -> ServedModel:
    return ServedModel(
        name="m",
        version="1",
        sha256="ab",
        precision="int8",
        provider="CPUExecutionProvider",
        languages={"de": "German", "en": "English"},
        tag_ids={("de", "en"): 1},
        eos_id=0,
        length_penalty=1.0,
        max_source_tokens=64,
        max_target_tokens=64,
        max_target_ratio=2.0,
    )
