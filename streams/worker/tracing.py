"""A sampled span for each transaction, sent to an OpenTelemetry collector where one is configured.

Owns what such a span says. Without an endpoint nothing of OpenTelemetry is imported, and there is no ``Tracing``. That
a trigger carries the trace of its touchpoint needs none of this (``streams.contracts.trace_context``).
"""

# ruff: noqa: PLC0415 - OpenTelemetry is imported where it is used, for it need not be installed
from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from streams import __version__
from streams.contracts.trace_context import sampled
from streams.settings import Settings
from streams.worker.outcomes import Refused

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from streams.worker.batch import Batch

LINKS: Final = 32
"""Traces of touchpoints that one span links to at most; the rest is told by its number."""
FLUSH_MS: Final = 2_000


class Tracing:
    """Raises ``Refused`` where OpenTelemetry is not installed."""

    def __init__(self, settings: Settings, instance: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        except ModuleNotFoundError as missing:
            raise Refused(
                f"JOURNEY_TRACING_ENDPOINT is set, and {missing.name} is not installed: "
                "pip install 'journey-streams[tracing]'"
            ) from missing
        resource = Resource.create(
            {
                "service.name": "journey-streams",
                "service.version": __version__,
                "service.instance.id": instance,
                "journey.app": settings.app,
            }
        )
        self._provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=settings.tracing.endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._sample = settings.tracing.sample
        self._random = random.Random()  # noqa: S311 - no secret
        self._tracer = self._provider.get_tracer("streams.worker", __version__)

    def committed(self, topic: str, partition: int, batch: Batch, commit_s: float, aborted: int) -> None:
        """A transaction is certain. ``commit_s``: what sending and committing it took at last; ``aborted``: how often
        it had to be sent again."""
        # Decided here: a span that its sampler drops costs 50 us all the same, a hundred times as often as one is kept.
        if self._random.random() >= self._sample:
            return
        from opentelemetry.trace import SpanKind, set_span_in_context

        tally = batch.tally
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            "journey.transaction", kind=SpanKind.CONSUMER, start_time=int(tally.began_s * 1e9)
        )
        span.set_attributes(
            {
                "messaging.system": "kafka",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
                "messaging.batch.message_count": tally.consumed,
                "journey.offset": batch.marker.offset,
                "journey.definition": batch.marker.definition,
                "journey.messages": len(batch.messages),
                "journey.triggers": tally.triggers.total(),
                "journey.traced_triggers": len(tally.traces),
                "journey.dead_letters": tally.dead_letters.total(),
                "journey.processing_seconds": tally.seconds,
                "journey.aborted": aborted,
            }
        )
        for headers in [found for found in tally.traces if sampled(found)][:LINKS]:
            span.add_link(_context(headers))
        began_ns = now_ns - int(commit_s * 1e9)
        inner = self._tracer.start_span("journey.commit", set_span_in_context(span), start_time=began_ns)
        inner.end(now_ns)
        span.end(now_ns)

    def stop(self) -> None:
        """Blocks a little: what waits is sent."""
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


def _context(headers: list[tuple[str, bytes]]) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState

    carried = {name: value.decode("ascii") for name, value in headers}
    _, trace, parent, flags = carried["traceparent"].split("-")[:4]
    state = TraceState.from_header([carried["tracestate"]]) if "tracestate" in carried else None
    return SpanContext(int(trace, 16), int(parent, 16), True, TraceFlags(int(flags, 16)), state)
