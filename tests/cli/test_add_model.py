"""`routellm add-model`: prompts to answer, and then a checkpoint with one model more."""

import json
from pathlib import Path

from routellm_core import ModelPair, load_router
from routellm_core.training.bundled.topics import read_seeds


def test_chosen_prompts_are_answered_and_become_a_model(run, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    texts = [seed.prompt for seed in read_seeds()[:200]]
    log.write_text("\n".join(json.dumps({"question": text}) for text in texts))
    chosen = run("add-model", "mf", "newcomer", "--prompts", str(log), "--choose", "40")
    assert chosen.exit_code == 0, chosen.output
    rows = [json.loads(line) for line in chosen.stdout.splitlines()]
    assert len({row["prompt"] for row in rows} & {*texts}) == 40
    answered = tmp_path / "answered.jsonl"
    answered.write_text("\n".join(json.dumps({**row, "quality": 1}) for row in rows))
    out = tmp_path / "mf-newcomer"
    arguments = ("add-model", "mf", "newcomer", "--outcomes", str(answered), "--out", str(out))
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "prompts               40" in result.stdout
    assert "ability 2" in result.stdout
    assert f"Checkpoint: {out}" in result.stdout
    strong = load_router("mf", checkpoint=out, strong_model="newcomer")
    assert strong.pair == ModelPair("newcomer", "Meta-Llama-3_1-8B-Instruct")
    assert strong.raw_win_rates(["Prove that pi is irrational."])[0] > 0.5
    assert "holds a checkpoint already" in run(*arguments).stderr
    again = run(*arguments, "--force", "--json")
    report = json.loads(again.stdout)
    assert report["checkpoint"] == str(out)
    assert report["n_prompts"] == 40
    assert report["basis"] == "outcomes"


def test_a_guess_is_called_one(run, tmp_path: Path) -> None:
    out = tmp_path / "guessed"
    result = run("add-model", "mf", "newcomer", "--like", "gpt-4o-mini", "-o", str(out), "--json")
    assert result.exit_code == 0, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("A guess: nothing was measured of 'newcomer'")
    assert json.loads(result.stdout)["basis"] == "guess"
    assert load_router("mf", checkpoint=out).added_models["newcomer"].is_guess
