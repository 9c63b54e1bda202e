"""Server: one model at two efforts is a pair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from routellm_core import ConfigurationError
from routellm_core.server import create_app, read_settings
from routellm_core.server.litellm_upstream import LiteLLMUpstream
from routellm_core.server.upstream import Endpoint, ModelCall
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.effort.conftest import EASY, HARD, HIGH, LOW, MODEL, efforts
from tests.litellm_clients import close_litellm_clients
from tests.server.conftest import Served, serving

pytestmark = pytest.mark.loopback
EXPERTS = {
    "weak": {"model": MODEL, "settings": {"reasoning_effort": "low"}, "answer_tokens": 100},
    "strong": {"model": MODEL, "settings": {"reasoning_effort": "high"}, "answer_tokens": 1100},
}
NO_PAIR = {"strong_model": None, "weak_model": None}


@pytest.fixture
def served(upstream: OpenAIServer, router: ScriptedRouter) -> Iterator[Served]:
    with serving(upstream, router=router, experts=EXPERTS, **NO_PAIR) as one:
        yield one


def header(response: Any, name: str) -> str:
    return str(response.headers[f"x-routellm-{name}"])


def test_each_expert_is_asked_at_its_own_effort(served: Served, upstream: OpenAIServer) -> None:
    answers = [served.post(text) for text in (EASY, HARD)]
    assert served.post(EASY, stream=True).status_code == 200
    assert efforts(upstream) == ["low", "high", "low"]
    assert [header(answer, "route") for answer in answers] == ["weak", "strong"]
    assert [header(answer, "model") for answer in answers] == [LOW, HIGH]
    assert set(upstream.models_asked()) == {MODEL}


@pytest.mark.parametrize("text", [EASY, HARD])
def test_a_requests_own_effort_goes_before_the_experts(
    served: Served, upstream: OpenAIServer, text: str
) -> None:
    answer = served.post(text, reasoning_effort="medium")
    assert efforts(upstream) == ["medium"]
    assert (header(answer, "route"), header(answer, "reason")) == ("weak", "own_effort")


def test_an_effort_of_null_is_none(served: Served, upstream: OpenAIServer) -> None:
    assert header(served.post(HARD, reasoning_effort=None), "reason") == "win_rate"
    assert efforts(upstream) == ["high"]


def test_records_tell_the_two_apart_and_count_reasoning(
    upstream: OpenAIServer, router: ScriptedRouter, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    options = {"experts": EXPERTS, "record_log": str(log), **NO_PAIR}
    upstream.script(Step(text="Twelve it is", reasoning_tokens=97))
    with serving(upstream, router=router, **options) as served:
        served.post(EASY)
        served.post(EASY, stream=True, stream_options={"include_usage": True})
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    record = json.loads(lines[0])
    told = [record[name] for name in ("model", "strong_model", "weak_model")]
    assert told == [LOW, HIGH, LOW]
    assert (record["output_tokens"], record["reasoning_tokens"]) == (100, 97)
    assert record["saved_usd"] == pytest.approx(4.4e-6 * 1_000, abs=1e-9)


def test_either_effort_can_be_asked_for_by_name(served: Served, upstream: OpenAIServer) -> None:
    with served.client() as client:
        models = [model["id"] for model in client.get("/v1/models").json()["data"]]
    low, high = (next(m for m in models if m.endswith(f"={effort})")) for effort in ("low", "high"))
    for name in (low, high):
        served.post(EASY, name)
    assert efforts(upstream) == ["low", "high"]


@pytest.mark.parametrize(
    ("fields", "expected"), [({}, "high"), ({"reasoning_effort": "medium"}, "medium")]
)
async def test_litellm_is_asked_at_the_effort(
    upstream: OpenAIServer, fields: dict[str, Any], expected: str
) -> None:
    reach = (upstream.base_url, SecretStr("any"))
    settings = {"reasoning_effort": "high"}
    model = LiteLLMUpstream(Endpoint("strong", f"openai/{MODEL}", *reach, settings=settings))
    messages = [{"role": "user", "content": HARD}]
    await model.complete(ModelCall({"messages": messages, **fields}))
    assert efforts(upstream) == [expected]
    await close_litellm_clients()


def test_the_pair_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text(yaml.safe_dump({"experts": EXPERTS}, sort_keys=False))
    settings = read_settings(config=path, environ={})
    assert settings.models["strong"].settings == {"reasoning_effort": "high"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"settings": {"api_key": "sk-1"}}, "`api_key` is no setting"),
        ({"answer_tokens": -1}, "answer_tokens"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changed: dict[str, Any], words: str) -> None:
    experts = {**EXPERTS, "strong": {**EXPERTS["strong"], **changed}}
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_settings({"experts": experts}, environ={})
    assert "sk-1" not in str(caught.value)


def test_two_experts_that_are_the_same_are_refused(router: ScriptedRouter) -> None:
    flags = {"strong_model": MODEL, "weak_model": MODEL, "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(ConfigurationError, match=r"same model.*nothing to route"):
        create_app(read_settings(flags, environ={}), routers={"mf": router})
