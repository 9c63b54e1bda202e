"""Prometheus and OpenTelemetry."""

import pytest

from routellm_core import (
    Decision,
    Monitor,
    OpenTelemetrySink,
    PrometheusSink,
    Usage,
    make_decider,
    make_guards,
)
from routellm_core.testing import ScriptedRouter

prometheus = pytest.importorskip("prometheus_client")
trace = pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402
    InMemorySpanExporter,
)

SECRET = "what-nobody-may-see"


@pytest.fixture
def registry():
    return prometheus.CollectorRegistry()


def test_prometheus_counts_calls_costs_and_failures(registry, record) -> None:
    sink = PrometheusSink(registry)
    sink.write(record(cost_usd=0.5, strong_usd=2.0, saved_usd=1.5, input_tokens=10))
    sink.write(
        record(route="strong", model="big", failures=("weak:TimeoutError",), outcome="answered")
    )

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("routellm_calls_total", route="weak", outcome="answered") == 1
    assert value("routellm_calls_total", route="strong", outcome="answered") == 1
    assert value("routellm_failed_attempts_total", route="weak", error="TimeoutError") == 1
    assert value("routellm_cost_usd_total", model="small") == 0.5
    assert value("routellm_saved_usd") == 1.5
    assert value("routellm_unpriced_calls_total", model="big") == 1
    assert value("routellm_tokens_total", model="small", direction="input") == 10
    assert value("routellm_win_rate_count") == 2


def test_prometheus_shows_breakers_and_budgets_as_they_are_now(registry) -> None:
    guards = make_guards(monitor=Monitor(PrometheusSink(registry)), breaker=True, budget=2.0)
    assert registry.get_sample_value("routellm_breaker_state", {"route": "weak"}) == 0
    for _ in range(5):
        guards.breakers["weak"].enter().failed()
    assert registry.get_sample_value("routellm_breaker_state", {"route": "weak"}) == 2
    assert registry.get_sample_value("routellm_budget_limit_usd", {"period": "day"}) == 2.0
    assert registry.get_sample_value("routellm_records_lost") == 0


def test_no_label_holds_more_than_a_class_of_reason(registry, record) -> None:
    sink = PrometheusSink(registry)
    sink.write(record(decided_reason=f"capability:{SECRET}", prompt=SECRET))
    assert SECRET not in prometheus.generate_latest(registry).decode()


@pytest.fixture
def exported():
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    sink = OpenTelemetrySink(
        tracer_provider=provider, meter_provider=MeterProvider(metric_readers=[reader])
    )
    return sink, spans, reader, provider


def metrics_of(reader) -> dict:
    return {
        metric.name: metric.data.data_points
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_span_names_the_model_and_tells_its_settings_apart(exported, record) -> None:
    sink, spans, _, _ = exported
    sink.write(record(model="o4-mini (reasoning_effort=low)"))
    [span] = spans.get_finished_spans()
    assert span.name == "chat o4-mini"
    assert span.attributes["gen_ai.request.model"] == "o4-mini"
    assert span.attributes["routellm.model"] == "o4-mini (reasoning_effort=low)"


def test_a_span_has_the_names_of_the_genai_conventions(exported, record) -> None:
    sink, spans, reader, _ = exported
    sink.write(
        record(
            input_tokens=10,
            output_tokens=3,
            call_ms=1500.0,
            answered_model="small-2024",
            cost_usd=0.25,
            prompt=SECRET,
            error="TimeoutError",
        )
    )
    [span] = spans.get_finished_spans()
    assert span.name == "chat small"
    attributes = dict(span.attributes)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == "small"
    assert attributes["gen_ai.response.model"] == "small-2024"
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["error.type"] == "TimeoutError"
    assert attributes["routellm.route"] == "weak"
    assert span.end_time - span.start_time == 1_500_000_000
    assert span.status.status_code.name == "ERROR"
    metrics = metrics_of(reader)
    [duration] = metrics["gen_ai.client.operation.duration"]
    assert duration.sum == 1.5
    kinds = {point.attributes["gen_ai.token.type"]: point.sum for point in metrics[
        "gen_ai.client.token.usage"]}  # fmt: skip
    assert kinds == {"input": 10, "output": 3}
    [cost] = metrics["routellm.cost"]
    assert cost.value == 0.25
    assert SECRET not in str(attributes) + str(metrics)


def test_the_span_is_a_child_of_the_callers(exported) -> None:
    sink, spans, _, provider = exported
    guards = make_guards(monitor=Monitor(sink))
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
    decision = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")
    with provider.get_tracer("app").start_as_current_span("request") as parent:
        guards.begin(decision, decider=decider, worth_escalating=bool).succeeded(Usage(1, 1))
    assert guards.monitor.flush()
    child = next(span for span in spans.get_finished_spans() if span.name == "chat small")
    assert child.parent.span_id == parent.get_span_context().span_id
