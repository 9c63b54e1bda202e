"""From outcomes with token counts to the costs of each effort."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from routellm_core import load_router, make_decider
from routellm_core.cli import app
from routellm_core.experts import Expert, ExpertTable
from tests.effort.conftest import HIGH, LOW, MODEL

WORDS = ["Prove the theorem", "Say hello", "Fix the code", "Name a city", "Integrate x", "Rhyme"]


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """Outcomes of 60 prompts; every third answer at high effort was not counted."""
    rows = [
        {
            "prompt": f"{WORDS[n % 6]} number {n}, for {n % 7} of us",
            "model": model,
            "quality": quality,
        }
        | ({} if model == HIGH and n % 3 == 0 else {"completion_tokens": written})
        for n in range(60)
        for model, quality, written in ((HIGH, 1.0, 3_000), (LOW, float(n % 2), 1_000))
    ]
    path = tmp_path / "efforts.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def experts() -> ExpertTable:
    return ExpertTable(
        Expert(name, MODEL, settings={"reasoning_effort": effort})
        for name, effort in (("weak", "low"), ("strong", "high"))
    )


def test_a_saved_calibration_has_counted_what_each_effort_writes(
    outcomes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    done = CliRunner().invoke(
        app, ["calibrate", "-r", "mf", "--outcomes", str(outcomes), "--save", str(folder)]
    )
    assert done.exit_code == 0, done.output
    assert f"{HIGH} 3,000, {LOW} 1,000" in done.stderr
    router = load_router("mf", checkpoint=folder)
    decider = make_decider(router=router, experts=experts())
    assert decider.policy.experts.more_tokens("weak") == pytest.approx(2_000)
    # Between all-weak (0.0044 US dollars and the prompt) and all-strong (0.0132).
    costs = [make_decider(router=router, experts=experts(), max_cost=c) for c in (0.006, 0.012)]
    dear, cheap = (decider.policy.threshold for decider in costs)
    assert dear > cheap > 0.0


def test_a_cost_target_is_met_with_the_counts_of_the_outcomes(outcomes: Path) -> None:
    target = ["--max-cost", "0.0088", "--json"]
    done = CliRunner().invoke(
        app, ["calibrate", "-r", "random", "--outcomes", str(outcomes), *target]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[0])
    assert found["strong_share"] == pytest.approx(0.5, abs=0.05)
