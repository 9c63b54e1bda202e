"""A prompt that its model cannot hold, in the words of every server, and by what is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from routellm_core.testing import OpenAIServer, Step
from tests.prompts_too_long import SAYINGS
from tests.server.conftest import EASY, HARD, Served, process, serving

pytestmark = pytest.mark.loopback

SHAPES: dict[str, Callable[[str], Any]] = {
    "OpenAI's": lambda words: {"error": {"message": words, "type": "invalid_request_error"}},
    "flat": lambda words: {"object": "error", "message": words},
    "a string": lambda words: {"error": words},
    "FastAPI's": lambda words: {"detail": words},
}


@pytest.fixture(scope="module")
def retrying(upstream: OpenAIServer) -> Iterator[Served]:
    """A server that asks the same model again after a fault that may pass, which this is not."""
    with serving(upstream, retries=1) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("server", SAYINGS)
def test_it_goes_to_the_strong_model_in_the_words_of(
    retrying: Served, upstream: OpenAIServer, server: str, stream: bool
) -> None:
    status, words = SAYINGS[server]
    for shape in SHAPES.values():
        step = Step(status=status, body=json.dumps(shape(words)))
        upstream.script(step, model="small")
        response = retrying.post(EASY, stream=stream)
        assert response.status_code == 200
        assert response.headers["x-routellm-reason"] == "escalation:UpstreamError"
        assert upstream.models_asked() == ["small", "big"]
        upstream.script(step, model="big")
        response = retrying.post(HARD, stream=stream)
        assert (response.status_code, upstream.models_asked()[2:]) == (status, ["big"])
        error = response.json()["error"]
        assert (error["message"] if isinstance(error, dict) else error) == words
        upstream.reset()


@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "Provider returned error",
            "code": 400,
            "metadata": {"raw": "Prompt is too long"},
        },
        {"message": "No.", "details": [{"message": "Prompt is too long"}]},
        {"message": "No.", "type": "request_too_large"},
    ],
    ids=["OpenRouter", "details", "type"],
)
def test_it_is_found_wherever_an_error_tells_it(
    retrying: Served, upstream: OpenAIServer, error: dict[str, Any]
) -> None:
    upstream.script(Step(status=400, body=json.dumps({"error": error})), model="small")
    assert retrying.post(EASY).headers["x-routellm-reason"] == "escalation:UpstreamError"


def test_it_is_not_read_from_the_prompt_that_an_error_repeats(
    retrying: Served, upstream: OpenAIServer
) -> None:
    error = {"message": "No.", "input": "My prompt is too long"}
    upstream.script(Step(status=400, body=json.dumps({"error": error})), model="small")
    assert retrying.post(EASY).status_code == 400
    assert upstream.models_asked() == ["small"]


@pytest.fixture(scope="module")
def translated(upstream: OpenAIServer) -> Iterator[Served]:
    """A process of its own, because LiteLLM keeps connections from one event loop to the next."""
    settings = {
        "ROUTELLM_STRONG_UPSTREAM": "litellm",
        "ROUTELLM_WEAK_UPSTREAM": "litellm",
        "ROUTELLM_UPSTREAM_API_KEY": "provider-key",
        "ROUTELLM_RETRIES": "1",
    }
    with process(upstream, **settings) as (_, url):
        yield Served(url, app=None, server=None, key=None)


@pytest.mark.parametrize("server", SAYINGS)
def test_it_goes_to_the_strong_model_through_litellm_in_the_words_of(
    translated: Served, upstream: OpenAIServer, server: str
) -> None:
    status, words = SAYINGS[server]
    step = Step(status=status, body=json.dumps(SHAPES["OpenAI's"](words)))
    for stream in (False, True):
        upstream.script(step, model="small")
        response = translated.post(EASY, model="router-random-1", stream=stream)
        assert response.status_code == 200
        assert upstream.models_asked() == ["small", "big"]
        upstream.script(step, model="big")
        response = translated.post(HARD, model="router-random-0", stream=stream)
        assert 400 <= response.status_code <= 500
        assert upstream.models_asked()[2:] == ["big"]
        assert words in response.json()["error"]["message"]
        upstream.reset()


WINDOW = 16_385
"""Tokens of gpt-3.5-turbo's prompt in LiteLLM's table. A token is taken for four bytes."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀"])
def test_a_window_that_is_known_is_compared_before_the_model_is_asked(
    serve: Callable[..., Served], upstream: OpenAIServer, letter: str, stream: bool
) -> None:
    served = serve(strong_model="openai/gpt-4o", weak_model="openai/gpt-3.5-turbo")
    n_bytes, width = WINDOW * 4, len(letter.encode())
    fits = letter * (n_bytes // width)
    response = served.post(fits, stream=stream)
    assert response.headers["x-routellm-reason"] == "win_rate"
    assert response.headers["x-routellm-route"] == "weak"
    response = served.post(fits + letter, stream=stream)
    assert response.headers["x-routellm-reason"] == "capability:context_window"
    assert upstream.models_asked() == ["gpt-3.5-turbo", "gpt-4o"]


def test_a_window_that_is_known_counts_every_message_and_leaves_the_rest_to_the_model(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(weak_context_window=100)
    history = [{"role": "user", "content": "y" * 396}, {"role": "assistant", "content": "Yes."}]
    last = {"role": "user", "content": EASY}
    response = served.post(messages=[*history, last])
    assert response.headers["x-routellm-reason"] == "capability:context_window"
    status, words = SAYINGS["vLLM"]
    upstream.script(Step(status=status, body=json.dumps({"message": words})), model="small")
    response = served.post("z" * 390)  # within the estimate, and too long by the model's own count
    assert response.headers["x-routellm-reason"] == "escalation:UpstreamError"


def test_a_strong_model_with_the_smaller_window_is_spared(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(strong_context_window=100, weak_context_window=1000)
    response = served.post(HARD + "x" * 400)
    assert response.headers["x-routellm-route"] == "weak"
    assert response.headers["x-routellm-reason"] == "capability:context_window"
    assert served.post(HARD).headers["x-routellm-route"] == "strong"
    served.post(HARD + "x" * 5000)
    assert len(upstream.models_asked()) == 3, "where neither may hold it the router decides"
