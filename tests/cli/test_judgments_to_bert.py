"""The recipe of docs/labels.md in order: votes, labels, a fine-tuned encoder, a test, a page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from planted import planted
from tiny_checkpoints import tiny_bert

from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK, stand_ins
from tests.labeling.votes import votes

pytest.importorskip("torch")
pytest.importorskip("transformers")

N_QUESTIONS, N_EXAMPLES = 60, 6
HARD, EASY = "prove quantum primes infinitely", "hello what is the capital"
TINY = ["--set", "learning_rate=2e-3", "--set", "epochs=8", "--set", "batch_size=32",
        "--set", "device=cpu"]  # fmt: skip


@pytest.fixture
def judgments(tmp_path) -> str:
    """Return votes on sixty questions, of which those with a hard word need a superior model."""
    prompts, hard = planted(N_QUESTIONS, seed=11)
    rows = votes(
        {n: 0.95 if needs else 0.5 for n, needs in enumerate(hard)},
        per_question=40,
        prompts={n: (prompt, "And why?") for n, prompt in enumerate(prompts)},
    )
    path = tmp_path / "judgments.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture
def log(tmp_path) -> str:
    path = tmp_path / "log.txt"
    path.write_text("\n".join(planted(900, seed=12)[0]))
    return str(path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the settings of every page that a command opens."""
    found: list[Any] = []
    monkeypatch.setattr("routellm_core.server.run.serve", lambda read, **_: found.append(read))
    return found


def succeed(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.loopback
def test_votes_become_a_classifier_that_the_page_shows(
    run, judgments, log, opened, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    names = ("analysis", "labels.jsonl", "bert")
    analysis, labels, router = (str(tmp_path / name) for name in names)
    examples, test = f"{analysis}/examples.jsonl", f"{analysis}/test.jsonl"
    hard_share = planted(N_QUESTIONS, seed=11)[1].mean()
    options = ["--hard-share", f"{hard_share}", "--examples", str(N_EXAMPLES)]
    succeed(run("analyze", judgments, "--superior", "gpt-4,claude-v1", *options, "-o", analysis))

    models = ["--strong", STRONG, "--weak", WEAK, "--judge", JUDGE, *PRICES, "--max-cost", "1"]
    with stand_ins() as server:
        models += ["--base-url", server.base_url, "--near-duplicates", "1"]
        options = ["--mode", "route", "--examples", examples]
        succeed(run("label", log, *options, *models, "--out", labels))
        asked = server.requests[0].body["messages"][0]["content"]
    for line in (tmp_path / "analysis" / "examples.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert f"Request: {row['prompt']}\nReply: {row['label']}" in asked

    base = str(tiny_bert(tmp_path / "base", num_labels=2))
    options = ["--pair", STRONG, WEAK, "--base", base, "--leave-out", test, *TINY]
    succeed(run("train", "bert", "--data", labels, *options, "--out", router))

    options = ["--no-cache", "--rounds", "20", "--json"]
    found = succeed(run("evaluate", "--router", router, "--benchmark", f"routes={test}", *options))
    measured = json.loads(found.stdout)
    assert measured["n"] == N_QUESTIONS - N_EXAMPLES
    assert measured["auroc"] > 0.9

    succeed(run("playground", "--routers", router))
    rates, drawn = asyncio.run(shown(opened[0]))
    assert rates[HARD] > 0.8 > rates[EASY]
    assert all(f"{rates[prompt]:.3f}" in drawn[prompt] for prompt in (HARD, EASY))


async def shown(settings: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Return what the page finds and draws for two prompts."""
    from routellm_core.server import create_app
    from routellm_core.server.playground import Playground

    service = create_app(settings).state.service
    rates, drawn = {}, {}
    try:
        for prompt in (HARD, EASY):
            found, drawn[prompt] = await Playground(service).score(prompt, 0.5)
            (rates[prompt],) = found.values()
    finally:
        await service.aclose()
    return rates, drawn
