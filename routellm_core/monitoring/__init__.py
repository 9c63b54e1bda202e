"""Costs and records of calls."""

from routellm_core.monitoring.alerts import Alert, DriftWatch, webhook
from routellm_core.monitoring.drift import Baseline, Drift, DriftLimits
from routellm_core.monitoring.endings import Ending, Pricing, next_call_number, text_digest
from routellm_core.monitoring.jsonl import JsonlSink, LogReader, log_files
from routellm_core.monitoring.monitor import Monitor, as_monitor
from routellm_core.monitoring.prices import Price, price_of
from routellm_core.monitoring.prometheus import PrometheusSink
from routellm_core.monitoring.records import CallRecord
from routellm_core.monitoring.redaction import RedactingFilter
from routellm_core.monitoring.replay import Bill, Replay, replay, routed_again
from routellm_core.monitoring.sinks import CallbackSink, Sink
from routellm_core.monitoring.summary import LogSummary, PeriodSummary, summarise
from routellm_core.monitoring.telemetry import OpenTelemetrySink

__all__ = [
    "Alert",
    "Baseline",
    "Bill",
    "CallRecord",
    "CallbackSink",
    "Drift",
    "DriftLimits",
    "DriftWatch",
    "Ending",
    "JsonlSink",
    "LogReader",
    "LogSummary",
    "Monitor",
    "OpenTelemetrySink",
    "PeriodSummary",
    "Price",
    "Pricing",
    "PrometheusSink",
    "RedactingFilter",
    "Replay",
    "Sink",
    "as_monitor",
    "log_files",
    "next_call_number",
    "price_of",
    "replay",
    "routed_again",
    "summarise",
    "text_digest",
    "webhook",
]
