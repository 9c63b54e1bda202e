"""Costs and records of calls."""

from routellm_core.monitoring.call_notes import (
    CallNote,
    OutcomeRecord,
    Score,
    ShadowRecord,
    read_note,
)
from routellm_core.monitoring.endings import Ending, Pricing, next_call_number, text_digest
from routellm_core.monitoring.jsonl import JsonlSink, LogReader, log_files
from routellm_core.monitoring.monitor import Monitor, as_monitor
from routellm_core.monitoring.prices import Price, price_of
from routellm_core.monitoring.prometheus import PrometheusSink
from routellm_core.monitoring.records import CallRecord
from routellm_core.monitoring.redaction import RedactingFilter
from routellm_core.monitoring.sinks import CallbackSink, Sink
from routellm_core.monitoring.telemetry import OpenTelemetrySink
from routellm_core.monitoring.token_counts import look_up, read_usage, reasoning_of, sum_usage

__all__ = [
    "CallNote",
    "CallRecord",
    "CallbackSink",
    "Ending",
    "JsonlSink",
    "LogReader",
    "Monitor",
    "OpenTelemetrySink",
    "OutcomeRecord",
    "Price",
    "Pricing",
    "PrometheusSink",
    "RedactingFilter",
    "Score",
    "ShadowRecord",
    "Sink",
    "as_monitor",
    "log_files",
    "look_up",
    "next_call_number",
    "price_of",
    "read_note",
    "read_usage",
    "reasoning_of",
    "sum_usage",
    "text_digest",
]
