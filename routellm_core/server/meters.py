"""What the server counts, for Prometheus. No label holds a prompt, a key or a client's words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from routellm_core.types import Decision

__all__ = ["Meters"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class Meters:
    """Count requests, decisions and seconds, in a registry of this app's own.

    With the environment variable PROMETHEUS_MULTIPROC_DIR, as `routellm serve --workers` sets it,
    any worker reports the sum over all of them.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "routellm_requests",
            "Chat completion requests by HTTP status; 499 where the client left.",
            ["status"],
            registry=self._registry,
        )
        self._decisions = Counter(
            "routellm_decisions",
            "Answers by router, route, and the reason's first word.",
            ["router", "route", "reason"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "routellm_request_seconds",
            "From a request's last byte to its answer's last.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._deciding = Histogram(
            "routellm_decision_seconds",
            "Time to decide.",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0),
            registry=self._registry,
        )
        self.running = Gauge(
            "routellm_requests_in_progress",
            "Answers that are running.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def decided(self, seconds: float) -> None:
        """Count the time of one decision."""
        self._deciding.observe(seconds)

    def answered(self, *, status: int, decision: Decision | None, seconds: float) -> None:
        """Count one request that is over."""
        self._requests.labels(str(status)).inc()
        if decision is not None:
            reason = decision.reason.partition(":")[0]
            self._decisions.labels(decision.router, decision.route, reason).inc()
            self._seconds.labels(decision.route).observe(seconds)

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text format."""
        registry = self._registry
        if _MULTIPROCESS in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return prometheus_client.generate_latest(registry)
