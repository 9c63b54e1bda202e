"""The code of docs/answers.md runs, block after block, and gives what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import tiny_encoder, tiny_llama

from routellm_core.answers import verifier_names
from routellm_core.testing import OpenAIServer, Step

GUIDE = (Path(__file__).parents[2] / "docs" / "answers.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)


def respond(body: Any) -> Step:
    """Answer as a judge or, of every five times, four times with 42."""
    if "Rate an answer" in body["messages"][-1]["content"]:
        return Step(text='{"score": 4}')
    respond.calls += 1
    return Step(text="Answer: 41" if respond.calls % 5 == 0 else "The answer is 42.")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_encoder(tmp_path / "encoder")
    tiny_llama(tmp_path / "language-model", with_labels=False)
    rng = np.random.default_rng(11)
    rows = [
        {
            "prompt": f"Which river flows past town {i}?",
            "answer": f"The Rhine, past {i} towns." if good else "I'm sorry, but I can't help.",
            "quality": float(good != (rng.uniform() < 0.1)),
        }
        for i, good in enumerate(rng.uniform(size=300) < 0.6)
    ]
    (tmp_path / "graded.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


@pytest.mark.loopback
def test_the_guides_code_runs_as_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    respond.calls = 0
    names: dict[str, Any] = {"__name__": "guide"}
    with OpenAIServer(respond=respond) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        for block in BLOCKS:
            exec(compile(block, "docs/answers.md", "exec"), names)
        names["client"].close()
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == ["1.0", "of an allowed length", "0.0", "a refusal (fr)"]
    assert said[4].startswith("arguments of get_weather: ")
    assert said[5:7] == ["0.98", "0.98"]
    assert said[7] == "0.8 4 of 5 agree (answer)"
    assert said[8] == "0.75 rated 4 of 5"
    assert said[9] == "no_refusal: a refusal (en)"
    assert names["trained"].metrics["auroc"] > 0.75
    assert names["found"].per_token.shape == (1,)
    assert names["easy"] > names["hard"]
    assert names["rejection"].reason.startswith("schema: not JSON")


def test_the_guide_names_every_verifier() -> None:
    for name in verifier_names():
        assert f"`{name}`" in GUIDE or f"import {name}" in GUIDE or f"{name}(" in GUIDE, name
