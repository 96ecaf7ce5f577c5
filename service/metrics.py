"""Every metric of the service, fed by requests and by the reports of the engine.

Label sets are closed: protocols, outcomes, the bundle's language pairs, finish reasons, kinds.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.engine.job import Hypothesis, JobResult
from service.engine.report import Occupancy, StepReport
from service.served_model import ServedModel

# A step of a small model takes half a millisecond, a long text seconds; one ladder for all times
# makes panels comparable.
_MILLISECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
SECONDS = (*_MILLISECONDS, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (*ROWS, 512)
SEGMENT_OUTCOMES = ("finished", "dropped", "failed")
TOKEN_KINDS = ("source", "padding", "target", "wasted")
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)

# A fifth of all series otherwise; Prometheus sees a restart by a counter that falls.
disable_created_metrics()  # type: ignore[no-untyped-call]


class ServiceMetrics:
    """What is served, and whether it is ready."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge(
            "dragoman_ready", "1 when requests are taken, 0 otherwise.", registry=registry
        )
        self._model = Gauge(
            "dragoman_model_info",
            "What is served; always 1.",
            ["model", "version", "sha256", "provider", "precision", "threads"],
            registry=registry,
        )
        self._reloads = Counter(
            "dragoman_bundle_reloads_total",
            "Bundles loaded on SIGHUP: swapped in, or refused while the old one goes on.",
            ["result"],
            registry=registry,
        )
        for result in ("swapped", "refused"):
            self._reloads.labels(result)
        ProcessCollector(registry=registry)

    def watch_readiness(self, is_ready: Callable[[], bool]) -> None:
        """Ask `is_ready` at every scrape."""
        self._ready.set_function(lambda: float(is_ready()))

    def show_model(self, model: ServedModel) -> None:
        """Say what is served from now on."""
        self._model.clear()
        self._model.labels(
            model.name,
            model.version,
            model.sha256,
            model.provider,
            model.precision,
            str(model.num_workers),
        ).set(1)

    def count_reload(self, result: str) -> None:
        """Count one reload: "swapped" or "refused"."""
        self._reloads.labels(result).inc()


class PairMetrics:
    """What is translated, by language pair; any thread may call it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        self._texts = counter(
            "dragoman_texts_finished_total",
            "Texts translated, by language pair and by why the translation ended.",
            ["pair", "finish_reason"],
        )
        self._characters = counter(
            "dragoman_characters_total", "Characters of source text translated.", ["pair"]
        )
        self._length_ratio = Histogram(
            "dragoman_length_ratio",
            "Target tokens for each source token of a text.",
            ["pair"],
            buckets=RATIOS,
            registry=registry,
        )
        self._truncated = counter(
            "dragoman_truncated_total",
            "Sentences whose translation was cut by the limit on its tokens.",
            ["pair"],
        )
        self._loops = counter(
            "dragoman_loops_total",
            "Sentences whose translation repeats itself, and which do not do so themselves.",
            ["pair"],
        )

    def count_segment(self, pair: str, hypothesis: Hypothesis, is_loop: bool) -> None:
        """Count one translated sentence."""
        self._truncated.labels(pair).inc(hypothesis.finish_reason == "length")
        self._loops.labels(pair).inc(is_loop)

    def count_text(
        self,
        *,
        pair: str,
        finish_reason: str,
        num_characters: int,
        source_tokens: int,
        target_tokens: int,
    ) -> None:
        """Count one translated text."""
        self._texts.labels(pair, finish_reason).inc()
        self._characters.labels(pair).inc(num_characters)
        if source_tokens:
            self._length_ratio.labels(pair).observe(target_tokens / source_tokens)


class RequestMetrics:
    """What clients ask, and how it goes; any thread may call it.

    Attributes:
        pairs: what of it is counted by language pair.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.pairs = PairMetrics(registry)
        self._requests = counter(
            "dragoman_requests_total",
            "Translation requests by protocol and outcome: ok, client_error, rejected (429, 503), "
            "cancelled (client gone), timeout, error.",
            ["api", "outcome"],
        )
        self._refused = counter(
            "dragoman_requests_refused_total",
            "Translation requests that were answered without work, by the end of the problem's "
            "type: queue-full, body-too-large, not-ready, invalid-request and so on.",
            ["reason"],
        )
        self._seconds = histogram(
            "dragoman_request_duration_seconds",
            "Time from a translation request to the end of its reply.",
            ["api", "outcome"],
            buckets=SECONDS,
        )
        self._first_token_seconds = histogram(
            "dragoman_time_to_first_token_seconds",
            "Time from a request to the first token of any of its sentences, tokenisation "
            "included.",
            buckets=SECONDS,
        )
        self._token_seconds = histogram(
            "dragoman_time_per_output_token_seconds",
            "Mean time of a token of a sentence after its first.",
            buckets=SECONDS,
        )
        self._queue_seconds = histogram(
            "dragoman_queue_time_seconds",
            "Time from the submission of a sentence to its first slot.",
            buckets=SECONDS,
        )

    def expect(self, apis: Iterable[str], outcomes: Iterable[str], reasons: Iterable[str]) -> None:
        """Show what may come with zero, so that a rate sees the first of a kind too."""
        for api, outcome in product(apis, outcomes):
            self._requests.labels(api, outcome)
        for reason in reasons:
            self._refused.labels(reason)

    def count_request(self, api: str, outcome: str, seconds: float) -> None:
        """Count one request that was answered or given up."""
        self._requests.labels(api, outcome).inc()
        self._seconds.labels(api, outcome).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        """Count one request that was answered without work."""
        self._refused.labels(reason).inc()

    def observe_first_token(self, seconds: float) -> None:
        """Count the time that one request waited for a first token."""
        self._first_token_seconds.observe(seconds)

    def observe_segment(self, result: JobResult) -> None:
        """Count the times of one translated sentence."""
        self._queue_seconds.observe(result.queue_seconds)
        if (seconds := result.seconds_per_token) is not None:
            self._token_seconds.observe(seconds)


class OccupancyCollector(Collector):
    """What the engine holds, asked for at every scrape, so that it is true of all its workers."""

    def __init__(self) -> None:
        self.read: Callable[[], Occupancy] = Occupancy

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge each; all are of the same moment."""
        held = self.read()
        usage = held.reserved_tokens / max(1, held.max_reserved_tokens)
        for name, value, meaning in (
            ("queue_depth", held.queue_segments, "Sentences waiting for a slot."),
            ("queue_tokens", held.queue_tokens, "Source tokens waiting for a slot."),
            ("rows_running", held.rows, "Hypotheses being decoded, over all workers."),
            ("slots", held.slots, "Most hypotheses that may be decoded at once."),
            ("kv_cache_bytes", held.cache_bytes, "Memory of the key-value caches."),
            (
                "kv_cache_usage_ratio",
                usage,
                "Part of DRAGOMAN_CACHE_TOKENS that is promised to running hypotheses; "
                "above 1 when a long sentence alone takes more.",
            ),
        ):
            yield GaugeMetricFamily(f"dragoman_{name}", meaning, value)


class EngineMetrics:
    """What the engine does; `record` is called on its threads, after every step."""

    def __init__(self, registry: CollectorRegistry) -> None:
        histogram = partial(Histogram, registry=registry)
        segments = Counter(
            "dragoman_segments_total",
            "Sentences that left the engine: finished, failed, or dropped as nobody waited.",
            ["outcome"],
            registry=registry,
        )
        tokens = Counter(
            "dragoman_tokens_total",
            "Tokens encoded (source), or only there to fill up beside them (padding); chosen "
            "(target), or chosen for clients that left (wasted).",
            ["kind"],
            registry=registry,
        )
        # Looked up once, so that a step need not; all are there from the start, with zero.
        outcomes = [(segments.labels(outcome), outcome) for outcome in SEGMENT_OUTCOMES]
        kinds = [(tokens.labels(kind), f"{kind}_tokens") for kind in TOKEN_KINDS]
        self._counters = outcomes + kinds
        self._occupancy = OccupancyCollector()
        registry.register(self._occupancy)
        self._batch_rows = histogram(
            "dragoman_batch_rows", "Hypotheses decoded together in one step.", buckets=ROWS
        )
        self._batch_tokens = histogram(
            "dragoman_batch_tokens",
            "Tokens of one step: source tokens encoded, and target tokens chosen.",
            buckets=TOKENS,
        )
        self._decode_seconds = histogram(
            "dragoman_decode_step_seconds",
            "Time of one decoding step: one token for each hypothesis.",
            buckets=SECONDS,
        )
        self._encode_seconds = histogram(
            "dragoman_encode_seconds",
            "Time to encode the sentences that joined in one step.",
            buckets=SECONDS,
        )

    def watch(self, occupancy: Callable[[], Occupancy]) -> None:
        """Ask `occupancy` at every scrape."""
        self._occupancy.read = occupancy

    def record(self, report: StepReport) -> None:
        """Add one step."""
        for counter, field in self._counters:
            if count := getattr(report, field):
                counter.inc(count)
        if tokens := report.source_tokens + report.target_tokens:
            self._batch_tokens.observe(tokens)
        if report.rows:
            self._batch_rows.observe(report.rows)
            self._decode_seconds.observe(report.decode_seconds)
        if report.source_tokens:
            self._encode_seconds.observe(report.encode_seconds)
