import json
import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from rich.cells import cell_len

from routellm_core import load_router
from routellm_core.cli.demo_prompts import PROMPTS
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

LANGUAGES = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "zh"]
FRAMEWORKS = ["langchain", "llamaindex"]
ROUTELLM = str(Path(sysconfig.get_path("scripts")) / "routellm")
# LiteLLM fetches its price table when it is imported, unless told not to.
ENVIRONMENT = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def demo(run):
    return lambda *arguments: run("demo", "--router", "random", *arguments)


def lines(stdout: str) -> tuple[list[dict], dict]:
    *rows, summary = (json.loads(line) for line in stdout.splitlines())
    return rows, summary


def test_each_of_twelve_languages_has_an_easy_and_a_hard_prompt() -> None:
    assert sorted((p.language, p.level) for p in PROMPTS) == [
        (language, level) for language in LANGUAGES for level in ("easy", "hard")
    ]


def test_the_prompts_were_not_trained_on() -> None:
    seeds = ROOT / "routellm_core" / "training" / "seeds" / "prompts.jsonl"
    trained = {json.loads(line)["prompt"] for line in seeds.read_text("utf-8").splitlines()}
    assert trained
    assert not trained & {prompt.text for prompt in PROMPTS}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_prompt_is_routed_by_its_win_rate_through_the_framework(demo, framework: str) -> None:
    rows, summary = lines(demo("--framework", framework, "--json").stdout)
    win_rates = load_router("random").win_rates([prompt.text for prompt in PROMPTS]).tolist()
    assert [row["win_rate"] for row in rows] == win_rates
    assert [row["route"] for row in rows] == ["strong" if w >= 0.5 else "weak" for w in win_rates]
    assert {row["reason"] for row in rows} == {"win_rate"}
    for row in rows:
        model = {"strong": "gpt-4o", "weak": "gpt-4o-mini"}[row["route"]]
        assert row["model"] == model
        assert row["answer"] == f"[Stand-in for {model}: canned text, no model was asked.]"
    assert (summary["framework"], summary["stand_ins"]) == (framework, True)


def test_the_estimate_is_what_the_price_table_says(demo) -> None:
    _, summary = lines(
        demo("12345678", "--json", "--threshold", "0", "--answer-tokens", "50").stdout
    )
    # gpt-4o: 2.50 USD per million tokens read, 10 per million written, as LiteLLM lists it.
    assert summary["routed_usd"] == pytest.approx(2 * 2.5e-6 + 50 * 1e-5)
    assert summary["all_strong_usd"] == summary["routed_usd"]
    assert summary["all_weak_usd"] < summary["all_strong_usd"]
    assert (summary["saved"], summary["tokens"]) == (0.0, "estimated")


def test_a_person_sees_decisions_reasons_stand_ins_and_savings(demo) -> None:
    result = demo()
    assert result.exit_code == 0
    assert result.stdout.count("STAND-IN") == 2
    assert "prompt | RoutedChatModel | parser" in result.stdout
    assert "less than all strong" in result.stdout
    assert "Tokens estimated" in result.stdout
    rows = [line for line in result.stdout.splitlines() if " win_rate " in line]
    assert len(rows) == len(PROMPTS)
    assert all(" strong " in row or " weak " in row for row in rows)
    for line in result.stdout.splitlines():
        # Some terminals give each spacing mark of Devanagari a cell of its own.
        marks = sum(category(character) == "Mc" for character in line)
        assert cell_len(line.rstrip()) + marks <= 80, line


@pytest.mark.loopback
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_real_models_answer_at_the_given_urls(framework: str) -> None:
    with OpenAIServer() as strong, OpenAIServer() as weak:
        # In a process of its own, because LiteLLM leaves its connections open.
        done = subprocess.run(
            [
                *(ROUTELLM, "demo", "Prove x", "Hello", "hello", "--router", "random", "--json"),
                *("--framework", framework, "--threshold", "0.4"),
                *("--strong", "big/model", "--strong-url", strong.base_url),
                *("--strong-key-env", "THE_KEY"),
                *("--weak", "openai/gpt-4o-mini", "--weak-url", weak.base_url),
            ],
            env={**ENVIRONMENT, "THE_KEY": "the-key", "OPENAI_API_KEY": "for-openai-alone"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    rows, summary = lines(done.stdout)
    for route, server, model, key in (
        ("strong", strong, "big/model", "the-key"),
        ("weak", weak, "gpt-4o-mini", "none"),
    ):
        n = sum(row["route"] == route for row in rows)
        assert n == len(server.requests) > 0
        assert {request.model for request in server.requests} == {model}
        assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {key}"}
    assert summary["tokens"] == "reported"
    assert summary["saved"] is None  # nobody knows the price of big/model


@pytest.mark.loopback
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_model_at_two_efforts_is_priced_by_what_each_writes(framework: str) -> None:
    def think(body: Mapping[str, Any]) -> Step:
        n_tokens = {"high": 2_000, "low": 200}[body["reasoning_effort"]]
        return Step(text="Yes", reasoning_tokens=n_tokens - 1)

    with OpenAIServer(respond=think) as server:
        model = ["openai/o4-mini", "--strong-effort", "high", "--weak-effort", "low"]
        done = subprocess.run(
            [
                *(ROUTELLM, "demo", "Prove x", "Hello", "hello", "--router", "random", "--json"),
                *("--framework", framework, "--threshold", "0.4", "--base-url", server.base_url),
                *("--weak", "openai/o4-mini", "--strong", *model),
            ],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    rows, summary = lines(done.stdout)
    routes = [row["route"] for row in rows]
    assert summary["strong"] == "openai/o4-mini (reasoning_effort=high)"
    assert {"strong", "weak"} == set(routes)
    written = {"strong": 2_000, "weak": 200}
    n_read = sum(len(json.dumps(r.body["messages"])) // 4 for r in server.requests)
    for name, n_written in (
        ("routed_usd", sum(written[route] for route in routes)),
        ("all_strong_usd", 3 * 2_000),
        ("all_weak_usd", 3 * 200),
    ):
        assert summary[name] == pytest.approx(1.1e-6 * n_read + 4.4e-6 * n_written)


@pytest.mark.loopback
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_model_that_fails_costs_its_rows_and_the_exit_code(framework: str) -> None:
    with OpenAIServer() as server:
        server.script(*[Step(status=400, error_code="model_not_found")] * 20, model="bad")
        done = subprocess.run(
            [
                *(ROUTELLM, "demo", "Prove x", "Hello", "--router", "random"),
                *("--framework", framework, "--threshold", "0", "--base-url", server.base_url),
                *("--strong", "bad", "--weak", "good"),
            ],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert done.stdout.count("failed") == 2
    assert "2 of 2 calls failed, the first with " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.loopback
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_refused_key_stops_the_demonstration_with_one_line(framework: str) -> None:
    with OpenAIServer() as server:
        server.script(*[Step(status=401)] * 100, model="bad")
        command = [
            *("demo", "--router", "random", "--framework", framework, "--threshold", "0"),
            *("--base-url", server.base_url, "--strong", "bad", "--weak", "good"),
        ]
        done, traced = (
            subprocess.run(
                [ROUTELLM, *before, *command],
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=120,
            )
            for before in ([], ["--verbose"])
        )
        n_asked = len(server.requests)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: Model 'bad' cannot be asked. AuthenticationError: ")
    assert "its key in the environment variable of its provider" in line
    assert n_asked < 2 * len(PROMPTS)
    assert (traced.returncode, traced.stdout) == (1, "")
    assert "Traceback" in traced.stderr
    assert traced.stderr.splitlines()[-1] == line


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_router_that_fails_is_reported(demo, framework: str, monkeypatch) -> None:
    monkeypatch.setattr(
        "routellm_core.routers.load_router",
        lambda *_, **__: ScriptedRouter(error=RuntimeError("broken")),
    )
    result = demo("hello", "--framework", framework)
    assert result.exit_code == 1
    assert "router_error:RuntimeError" in result.stdout
    assert "1 of 1 prompts had no win rate" in result.stderr


def test_the_bundled_router_scores_every_hard_prompt_above_its_language_s_easy_one(run) -> None:
    rows, _ = lines(run("demo", "--json").stdout)
    win_rates = {(row["language"], row["level"]): row["win_rate"] for row in rows}
    assert [
        language
        for language in LANGUAGES
        if win_rates[language, "easy"] >= win_rates[language, "hard"]
    ] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strong", "openai/gpt-4o"], "`--strong` and `--weak` name a pair"),
        (["--base-url", "http://x"], "pass `--strong` and `--weak`"),
        (["--strong", "a", "--weak", "b", "--weak-key-env", "NO_SUCH"], "needs the URL"),
        (
            ["--strong", "a", "--weak", "b", "--weak-url", "x", "--weak-key-env", "NO_SUCH"],
            "'NO_SUCH' is not set",
        ),
    ],
)
def test_a_mistake_is_one_line(demo, arguments: list[str], message: str) -> None:
    result = demo(*arguments)
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert message in line
