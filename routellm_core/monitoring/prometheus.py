"""Records as Prometheus metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core._optional import require
from routellm_core.monitoring.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from routellm_core.monitoring.records import CallRecord

__all__ = ["PrometheusSink"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_DECISION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
_WIN_RATES = tuple(level / 20 for level in range(1, 21))


class PrometheusSink(Sink):
    """Count records in `prometheus_client` metrics, all named "routellm_...".

    No label holds text of a prompt or an unbounded set of values: labels are routes, models of the
    pair, outcomes, and classes of reasons and errors.

    Parameters
    ----------
    registry
        Where the metrics are registered; the library's default one if None.

    Raises
    ------
    MissingDependencyError
        If `prometheus_client` is not installed.
    """

    def __init__(self, registry: Any = None) -> None:
        client = require("prometheus_client", extra="monitoring")
        self.registry = client.REGISTRY if registry is None else registry
        self._gauge = client.Gauge
        self._gauges: dict[str, Any] = {}
        options: dict[str, Any] = {"registry": self.registry}
        counter, histogram = client.Counter, client.Histogram
        self._calls = counter(
            "routellm_calls", "Calls by where they ended.", ["route", "outcome"], **options
        )
        self._decisions = counter(
            "routellm_decisions", "Decisions by their reason.", ["route", "reason"], **options
        )
        self._failures = counter(
            "routellm_failed_attempts", "Attempts that failed.", ["route", "error"], **options
        )
        self._tokens = counter(
            "routellm_tokens", "Tokens of answers.", ["model", "direction"], **options
        )
        self._cost = counter("routellm_cost_usd", "Price of answers.", ["model"], **options)
        self._router_cost = counter("routellm_router_cost_usd", "Price of decisions.", **options)
        self._strong_cost = counter(
            "routellm_all_strong_cost_usd", "Price of the same at the strong model.", **options
        )
        # A gauge, because a dear router can make savings fall.
        self._saved = client.Gauge(
            "routellm_saved_usd", "All-strong price less what was paid.", **options
        )
        self._unpriced = counter(
            "routellm_unpriced_calls", "Answers whose price is unknown.", ["model"], **options
        )
        self._decision_s = histogram(
            "routellm_decision_seconds", "Deciding.", buckets=_DECISION_SECONDS, **options
        )
        self._call_s = histogram(
            "routellm_call_seconds", "Whole calls.", ["route"], buckets=_SECONDS, **options
        )
        self._first_chunk_s = histogram(
            "routellm_first_chunk_seconds",
            "Until the first content of a stream.",
            ["route"],
            buckets=_SECONDS,
            **options,
        )
        self._win_rate = histogram("routellm_win_rate", "Win rates.", buckets=_WIN_RATES, **options)

    def write(self, record: CallRecord) -> None:
        """Count one record."""
        self._calls.labels(record.route, record.outcome).inc()
        self._decisions.labels(record.decided_route, _kind(record.decided_reason)).inc()
        for failure in record.failures:
            self._failures.labels(*failure.split(":", 1)).inc()
        self._decision_s.observe(record.decision_ms / 1e3)
        self._call_s.labels(record.route).observe(record.call_ms / 1e3)
        if record.first_chunk_ms is not None:
            self._first_chunk_s.labels(record.route).observe(record.first_chunk_ms / 1e3)
        if record.win_rate is not None and record.decided_reason == "win_rate":
            self._win_rate.observe(record.win_rate)
        self._count_money(record)

    def _count_money(self, record: CallRecord) -> None:
        for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
            if tokens is not None:
                self._tokens.labels(record.model, direction).inc(tokens)
        self._router_cost.inc(record.router_usd)
        if record.cost_usd is not None:
            self._cost.labels(record.model).inc(record.cost_usd)
        elif record.outcome == "answered":
            self._unpriced.labels(record.model).inc()
        if record.strong_usd is not None and record.saved_usd is not None:
            self._strong_cost.inc(record.strong_usd)
            self._saved.inc(record.saved_usd)

    def watch(self, name: str, labels: Mapping[str, str], read: Callable[[], float]) -> None:
        """Show a value that is read at each scrape, as "routellm_<name>"."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauge(
                f"routellm_{name}", "Read at each scrape.", list(labels), registry=self.registry
            )
            self._gauges[name] = gauge
        (gauge.labels(*labels.values()) if labels else gauge).set_function(read)


def _kind(reason: str) -> str:
    """Return a reason without what follows its colon, of which there may be any number."""
    return reason.partition(":")[0]
