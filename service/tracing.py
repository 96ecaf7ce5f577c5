"""Traces: a span for each request, sent by OTLP over HTTP to where a setting says.

FastAPI makes the spans, and goes on with the trace of a client that sends `traceparent`. What
`service.translate` knows of a request is added to its span. Imported only where traces are wanted.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

EXPORT_SECONDS = 2.0
"""Time to send a batch, retries included; a collector that is gone delays the stop by no more."""


class QueryRemover(SpanProcessor):
    """Takes the query out of spans: some clients put the source text there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Overwrite what FastAPI has copied."""
        attributes: Mapping[str, Any] = span.attributes or {}
        if "url.query" in attributes:
            span.set_attribute("url.query", "REDACTED")


def open_provider(url: str) -> TracerProvider:
    """Make what sends spans to `url` in the background; who opens it must shut it down.

    Variables of the SDK (`OTEL_TRACES_SAMPLER` and so on) say how many are sent.
    """
    resource = Resource.create({SERVICE_NAME: "dragoman"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(QueryRemover())
    exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
