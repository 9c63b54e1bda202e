"""The road in production: served calls, their outcomes and shadows, and a router of all that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from planted import planted

from tests.labeling.stand_ins import JUDGE, PRICES, stand_ins
from tests.server.conftest import serving
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

N = 240


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the log of a server whose users rate both models, and whose router sends half each."""
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    prompts, hard = planted(N, seed=11)
    settings = {"record_log": str(path), "record_prompt_chars": 10_000, "shadow": 1.0}
    with (
        stand_ins() as upstream,
        serving(upstream, max_outcomes_per_s=1e4, **settings) as served,
        served.client() as client,
    ):
        for prompt, needs in zip(prompts, hard, strict=True):
            for model in ("big", "small"):
                body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
                answer = client.post("/v1/chat/completions", json=body)
                call_id = answer.headers["x-routellm-call-id"]
                thumb = "up" if model == "big" or not needs else "down"
                said = client.post("/v1/outcomes", json={"call_id": call_id, "thumb": thumb})
                assert said.status_code == 202
        for prompt in prompts[:40]:
            body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        wait_until(lambda: path.read_text().count('"kind":"shadow"') == 40, seconds=30.0)
    return str(path)


def test_users_outcomes_train_and_adapt_a_router(run: Any, log: str, tmp_path: Path) -> None:
    pair = ["--pair", "big", "small"]
    for name, command in {"knn": ["train", "knn"], "adapted": ["adapt"]}.items():
        out = str(tmp_path / name)
        made = run(*command, "--data", log, *pair, "--out", out, "--json")
        assert made.exit_code == 0, made.output
        assert json.loads(made.stdout)["apgr"] > 0.65
    ready = str(tmp_path / "ready")
    calibrated = run(
        "calibrate", log, "--checkpoint", str(tmp_path / "knn"), "--strong-share", "0.3",
        "--save", ready, "--json",
    )  # fmt: skip
    assert calibrated.exit_code == 0, calibrated.output
    assert "bad" not in calibrated.stderr


def test_feedback_labels_the_same_outcomes(run: Any, log: str, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    labelled = run("label", log, "--mode", "feedback", "--out", str(out), "--json")
    assert labelled.exit_code == 0, labelled.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    prompts, hard = planted(N, seed=11)
    wanted = {
        (prompt, model): float(model == "big" or not needs)
        for prompt, needs in zip(prompts, hard, strict=True)
        for model in ("big", "small")
    }
    assert {(row["prompt"], row["model"]): row["quality"] for row in rows} == wanted


def test_shadow_answers_are_judged_without_asking_the_models_again(
    run: Any, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    shadows = tmp_path / "shadows.jsonl"
    routed = [
        line
        for line in Path(log).read_text().splitlines()
        if '"decided_reason":"override"' not in line
    ]
    shadows.write_text("\n".join(routed) + "\n")
    labels = str(tmp_path / "labels.jsonl")
    with stand_ins() as server:
        labelled = run(
            "label", str(shadows), "--out", labels, "--strong", "openai/big", "--weak",
            "openai/small", "--judge", JUDGE, *PRICES, "--max-cost", "1", "--base-url",
            server.base_url, "--near-duplicates", "1", "--json",
        )  # fmt: skip
        assert labelled.exit_code == 0, labelled.output
        assert set(server.models_asked()) == {"judge"}
    shown = run("monitor", str(shadows), "--labels", labels, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout.splitlines()[-1])["shadow"]
    assert (found["n_calls"], found["n_sampled"], found["n_labelled"]) == (40, 40, 40)
    _, hard = planted(N, seed=11)
    # Every routed call went to the weak model, which fails on the hard ones.
    assert found["quality_kept"]["value"] == pytest.approx(1.0 - hard[:40].mean())
    told = run("monitor", str(shadows), "--labels", labels)
    assert "quality kept" in told.stdout
    assert os.path.getsize(labels) > 0


def test_monitor_tells_what_users_said(run: Any, log: str) -> None:
    shown = run("monitor", log)
    assert shown.exit_code == 0, shown.output
    assert f"Users rated {2 * N} calls" in shown.stdout
    assert "without a record" not in shown.stderr
