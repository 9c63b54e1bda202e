"""Records as OpenTelemetry spans and metrics, under the GenAI conventions' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core._optional import require
from routellm_core.experts import bare_model
from routellm_core.monitoring.sinks import Sink

if TYPE_CHECKING:
    from routellm_core.monitoring.records import CallRecord

__all__ = ["OpenTelemetrySink"]

_TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
_SECOND_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96)


class OpenTelemetrySink(Sink):
    """Export each record as one "chat" span, a child of the caller's, and as GenAI metrics.

    Names follow OpenTelemetry's semantic conventions for generative AI, whose status is
    "Development". What is ours alone is named "routellm.". Neither prompts nor answers are
    exported.

    Parameters
    ----------
    tracer_provider, meter_provider
        Where spans and metrics go; the process's global ones if None.

    Raises
    ------
    MissingDependencyError
        If `opentelemetry` is not installed.

    References
    ----------
    https://opentelemetry.io/docs/specs/semconv/gen-ai/
    """

    uses_context: bool = True

    def __init__(self, *, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        self._trace = require("opentelemetry.trace", extra="monitoring")
        metrics = require("opentelemetry.metrics", extra="monitoring")
        self._tracer = self._trace.get_tracer("routellm_core", tracer_provider=tracer_provider)
        meter = metrics.get_meter("routellm_core", meter_provider=meter_provider)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of answers.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Whole calls.",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Until the first content of a stream.",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        )
        self._cost = meter.create_counter("routellm.cost", unit="USD", description="Of answers.")
        self._saved = meter.create_up_down_counter(
            "routellm.saved", unit="USD", description="All-strong price less what was paid."
        )

    def write(self, record: CallRecord) -> None:
        """Export one record."""
        self._write_span(record)
        shared = _shared(record)
        for kind, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
            if tokens is not None:
                self._tokens.record(tokens, {**shared, "gen_ai.token.type": kind})
        failed = {} if record.error is None else {"error.type": record.error}
        self._duration.record(record.call_ms / 1e3, {**shared, **failed})
        if record.first_chunk_ms is not None:
            self._first_chunk.record(record.first_chunk_ms / 1e3, shared)
        if record.cost_usd is not None:
            self._cost.add(record.cost_usd, shared)
        if record.saved_usd is not None:
            self._saved.add(record.saved_usd, shared)

    def _write_span(self, record: CallRecord) -> None:
        start_ns = int(record.started_at * 1e9)
        span = self._tracer.start_span(
            f"chat {bare_model(record.model)}",
            kind=self._trace.SpanKind.CLIENT,
            attributes={key: value for key, value in _attributes(record) if value is not None},
            start_time=start_ns,
        )
        if record.error is not None:
            status = self._trace.Status(self._trace.StatusCode.ERROR, record.error)
            span.set_status(status)
        span.end(start_ns + int(record.call_ms * 1e6))


def _shared(record: CallRecord) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": bare_model(record.model),
        "routellm.route": record.route,
    }
    if record.answered_model:
        attributes["gen_ai.response.model"] = record.answered_model
    return attributes


def _attributes(record: CallRecord) -> list[tuple[str, Any]]:
    return [
        *_shared(record).items(),
        ("gen_ai.usage.input_tokens", record.input_tokens),
        ("gen_ai.usage.output_tokens", record.output_tokens),
        ("error.type", record.error),
        ("routellm.call_id", record.call_id),
        ("routellm.model", record.model),
        ("routellm.outcome", record.outcome),
        ("routellm.reason", record.reason),
        ("routellm.decided_route", record.decided_route),
        ("routellm.win_rate", record.win_rate),
        ("routellm.threshold", record.threshold),
        ("routellm.router", record.router),
        ("routellm.checkpoint", record.checkpoint),
        ("routellm.decision_ms", record.decision_ms),
        ("routellm.attempts", record.attempts),
        ("routellm.failures", record.failures or None),
        ("routellm.cost_usd", record.cost_usd),
        ("routellm.saved_usd", record.saved_usd),
        ("routellm.partial", record.partial or None),
    ]
