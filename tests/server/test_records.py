"""Records, budgets and breakers of the server's calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, HARD, Served, serving

pytestmark = pytest.mark.loopback


def test_every_call_leaves_a_record_of_what_it_used_and_none_of_its_words(
    upstream: OpenAIServer, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    with serving(upstream, record_log=str(log)) as served:
        served.post(HARD)
        served.post(EASY, stream=True, stream_options={"include_usage": True})
        upstream.script(Step(status=500), model="small")
        served.post(EASY)
        upstream.script(Step(cut_after=3), model="small")
        served.post(EASY, stream=True)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["outcome"] for record in records] == ["answered"] * 3 + ["failed"]
    assert [record["route"] for record in records] == ["strong", "weak", "strong", "weak"]
    assert all(record["input_tokens"] for record in records[:3])
    assert records[2]["attempts"] == 2
    assert records[3]["partial"] is True
    assert HARD not in log.read_text()


def test_a_breaker_passes_over_a_model_that_keeps_failing(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(breaker=True)
    upstream.script(*[Step(status=500)] * 50, model="small")
    reasons = [served.post(EASY).headers["x-routellm-reason"] for _ in range(20)]
    assert reasons[0].startswith("escalation:")
    assert reasons[-1] == "breaker_open"


def test_a_spent_budget_sends_strong_calls_to_the_weak_model(
    serve: Callable[..., Served],
) -> None:
    served = serve(
        strong_model="openai/gpt-4o", weak_model="openai/gpt-4o-mini", daily_budget_usd=1e-9
    )
    response = served.post(HARD)
    assert response.status_code == 200
    assert response.headers["x-routellm-reason"] == "budget"
