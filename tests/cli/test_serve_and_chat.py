"""`routellm serve`, `routellm playground` and `routellm chat`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from routellm_core.cli import app
from routellm_core.testing import OpenAIServer, Step

PAIR = ["--strong-model", "openai/big", "--weak-model", "openai/small"]


@pytest_asyncio.fixture(autouse=True, scope="session", loop_scope="session")
async def _running_loop() -> AsyncIterator[None]:
    """Begin the loop before LiteLLM does: where none is set it sets one, and never closes it."""
    yield


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `routellm serve` would serve, instead of serving it."""
    seen: list[Any] = []
    monkeypatch.setattr(
        "routellm_core.server.run.serve", lambda settings, on_listening: seen.append(settings)
    )
    return seen


def run(*arguments: str, said: str = "") -> Any:
    return CliRunner().invoke(app, list(arguments), input=said)


def test_routellms_flags_mean_what_they_meant(settings: list[Any]) -> None:
    result = run(
        "serve", "--routers", "random", "mf", *PAIR, "--base-url", "http://127.0.0.1:1/v1",
        "--api-key", "secret", "--port", "7000", "--workers", "2", "--verbose",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    served = settings[0]
    assert served.routers == ("random", "mf")
    assert (served.strong_model, served.weak_model) == ("openai/big", "openai/small")
    assert served.upstream_api_key.get_secret_value() == "secret"
    assert served.api_key is None
    assert (served.port, served.workers, served.playground) == (7000, 2, False)


def test_the_models_may_be_named_as_other_commands_name_them(settings: list[Any]) -> None:
    assert run("serve", "--strong", "openai/big", "--weak", "openai/small").exit_code == 0
    assert (settings[0].strong_model, settings[0].weak_model) == ("openai/big", "openai/small")


def test_experts_and_a_strategy_come_from_a_file(
    settings: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "routellm_core.server.run.serve", lambda read, on_listening: on_listening("http://here")
    )
    file = tmp_path / "server.yaml"
    file.write_text("experts: {fast: gpt-4o-mini, mid: gpt-4.1-mini, large: gpt-4o}\n")
    wrong = run("serve", "--config", str(file))
    assert wrong.exit_code == 1
    assert "need a `strategy`" in wrong.stderr
    file.write_text(file.read_text() + "strategy: cascade\n")
    result = run("serve", "--config", str(file))
    assert "Serving gpt-4o, gpt-4.1-mini and gpt-4o-mini at http://here/v1" in result.stderr
    assert settings == []


def test_the_page_needs_neither_key_nor_model(settings: list[Any]) -> None:
    assert run("playground").exit_code == 0
    assert settings[0].playground
    assert settings[0].strong_model is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "without a key"),
        (["--threshold", "7"], "threshold"),
        (["--strong-model", "a"], "both"),
        (["--config", "/does/not/exist.yaml"], "Cannot read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    settings: list[Any], arguments: list[str], told: str
) -> None:
    result = run("serve", *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert settings == []


@pytest.mark.loopback
def test_a_chat_shows_which_model_answers_and_remembers(upstream: OpenAIServer) -> None:
    reach = ["--router", "random", "--threshold", "1", "--base-url", upstream.base_url]
    result = run(
        "chat", *PAIR, *reach, "--system", "Be brief.", said="Hello!\n\nAnd you?\n/new\nHi\n/quit\n"
    )
    assert result.exit_code == 0, result.output
    assert "weak openai/small" in result.output
    assert "small heard: Hello!" in result.output
    said = [[m["content"] for m in request.body["messages"]] for request in upstream.requests]
    assert said == [
        ["Be brief.", "Hello!"],
        ["Be brief.", "Hello!", "small heard: Hello!", "And you?"],
        ["Be brief.", "Hi"],
    ]


@pytest.mark.loopback
def test_a_failed_answer_does_not_end_the_chat(upstream: OpenAIServer) -> None:
    upstream.script(Step(status=400))
    reach = ["--router", "random", "--threshold", "0", "--base-url", upstream.base_url]
    result = run("chat", *PAIR, *reach, said="One\nTwo\n")
    assert result.exit_code == 0, result.output
    assert "No answer: BadRequestError" in result.stderr
    assert "big heard: Two" in result.output


@pytest.mark.loopback
@pytest.mark.parametrize("status", [401, 404])
def test_a_model_that_no_call_can_reach_ends_the_chat_with_one_line(
    upstream: OpenAIServer, status: int
) -> None:
    upstream.script(*[Step(status=status)] * 9)
    reach = ["--router", "random", "--threshold", "0", "--base-url", upstream.base_url]
    result = run("chat", *PAIR, *reach, said="One\nTwo\n")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: Model ")
    assert "cannot be asked" in line
    assert "Two" not in result.output
