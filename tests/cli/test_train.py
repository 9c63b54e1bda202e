"""`routellm train`, from a file to a checkpoint."""

import json
import re

import numpy as np
import pytest
from planted import battle_rows, outcome_rows, planted, score
from typer.testing import CliRunner

from routellm_core import load_router
from routellm_core.answers import load_verifier
from routellm_core.cli.app import app

PAIR = ["--pair", "big", "small"]


def run(*arguments: str):
    return CliRunner().invoke(app, ["train", *arguments])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "outcomes.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(500, seed=1))))
    return path


@pytest.mark.parametrize("name", ["knn", "mlp", "mf"])
def test_a_file_of_outcomes_becomes_a_checkpoint_that_loads(name, outcomes, tmp_path) -> None:
    out = tmp_path / name
    result = run(name, "--data", str(outcomes), *PAIR, "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["apgr"] > 0.8
    router = load_router(name, checkpoint=out)
    assert score(router, n=400) > 0.8
    assert router.calibration is not None
    assert not (tmp_path / f"{name}.work").exists()


def test_an_ensemble_is_one_checkpoint_and_tells_its_weights(outcomes, tmp_path) -> None:
    out = tmp_path / "both"
    arguments = ["--data", str(outcomes), *PAIR, "--out", str(out), "--set", "folds=2"]
    result = run("ensemble", *arguments, "--set", 'members=["knn", "mf"]')
    assert result.exit_code == 0, result.output
    assert "weight of knn" in result.stdout
    assert f"Checkpoint: {out}" in result.stdout
    router = load_router(str(out))
    assert list(router.members) == ["knn", "mf"]
    assert score(router, n=400) > 0.8
    assert router.calibration is not None
    result = run("ensemble", *arguments, "--force", "--set", 'members=["knn", "mff"]')
    assert result.exit_code == 1
    assert "Unknown member 'mff'. Did you mean 'mf'?" in result.stderr


def test_bad_rows_are_told_with_their_lines_and_strict_stops(outcomes, tmp_path) -> None:
    path = tmp_path / "with_bad.jsonl"
    path.write_text('{"prompt": "", "model": "big", "quality": 1}\n' + outcomes.read_text())
    out = ["--out", str(tmp_path / "out")]
    result = run("knn", "--data", str(path), *PAIR, *out)
    assert result.exit_code == 0
    assert result.stderr.count("line 1: `prompt` is blank.") == 1
    assert "Checkpoint:" in result.stdout
    result = run("knn", "--data", str(path), *PAIR, *out, "--strict", "--force")
    assert result.exit_code == 1
    assert "line 1" in result.stderr


def test_battles_train_an_index(tmp_path) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in battle_rows(*planted(300, seed=2))))
    out = tmp_path / "sw"
    result = run("sw_ranking", "--data", str(path), *PAIR, "--out", str(out), "--set", "n_tiers=2")
    assert result.exit_code == 0, result.output
    assert set(load_router("sw_ranking", checkpoint=out).tiers.values()) == {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["random"], "No trainer for 'random'"),
        (["knn", "--set", "k"], "KEY=VALUE"),
        (["knn", "--set", "nothing=1"], "nothing"),
        (["bert"], "needs `--base`"),
        (["knn", "--embedder", "openai"], "Unknown embedder"),
    ],
)
def test_what_cannot_be_used_is_one_line(arguments, message, outcomes, tmp_path) -> None:
    result = run(*arguments, "--data", str(outcomes), *PAIR, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_prompts_that_are_measured_on_are_left_out_of_training(outcomes, tmp_path) -> None:
    rows = [json.loads(line) for line in outcomes.read_text().splitlines()]
    prompts = list(dict.fromkeys(row["prompt"] for row in rows))
    measured = tmp_path / "measured.jsonl"
    measured.write_text("\n".join(json.dumps({"prompt": p.upper()}) for p in prompts[:50]))
    out = ["--out", str(tmp_path / "out")]
    arguments = ["knn", "--data", str(outcomes), *PAIR, *out, "--leave-out"]
    result = run(*arguments, str(measured))
    assert result.exit_code == 0, result.output
    left_out = int(result.stderr.partition("Left out ")[2].split()[0].replace(",", ""))
    assert 50 <= left_out < len(prompts)
    kept = load_router("knn", checkpoint=tmp_path / "out").quality(["x"])
    assert kept.shape == (1, 2)
    everything = run(*arguments, f"outcomes={outcomes}", "--force")
    assert everything.exit_code == 1
    assert "Every training prompt" in everything.stderr


def test_rows_without_a_difference_write_no_checkpoint(tmp_path) -> None:
    path = tmp_path / "alike.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"prompt": f"Prompt {n}", "model": model, "quality": 1})
            for n in range(50)
            for model in ("big", "small")
        )
    )
    out = tmp_path / "out"
    result = run("knn", "--data", str(path), *PAIR, "--out", str(out))
    assert result.exit_code == 1
    assert "equally good on all 50 prompts" in result.stderr
    assert not out.exists()


def test_few_validation_prompts_are_told(tmp_path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(60, seed=1))))
    result = run("knn", "--data", str(path), *PAIR, "--out", str(tmp_path / "out"), "--force")
    assert result.exit_code == 0, result.output
    assert "validation prompts: the figures say little" in result.stderr


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    rng = np.random.default_rng(11)
    rows = [
        {
            "prompt": f"Which river flows past town {i}?",
            "answer": f"The Rhine, past {i} towns." if good else "I'm sorry, but I can't help.",
            "quality": float(good),
            "model": "small",
        }
        for i, good in enumerate(rng.uniform(size=300) < 0.6)
    ]
    path = tmp_path_factory.mktemp("data") / "graded.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_graded_answers_become_a_verifier_that_loads_by_its_folder(graded, tmp_path) -> None:
    out = tmp_path / "verifier"
    result = run("verifier", "--data", str(graded), "--out", str(out), "--set", "model=small")
    assert result.exit_code == 0, result.output
    assert "Validation of the verifier:" in result.stdout
    for figure in ("auroc", "auroc_low", "ece", "brier", "base_brier", "n_validation"):
        assert re.search(rf"^{figure} +[0-9.e-]+ *$", result.stdout, re.MULTILINE), figure
    assert f"Checkpoint: {out}" in result.stdout
    assert "Only 60 answers are held back" in result.stderr
    assert not (tmp_path / "verifier.work").exists()
    verifier = load_verifier(str(out))
    texts = ("The Rhine, past 4 towns.", "I'm sorry, but I can't help.")
    good, bad = (verifier.score("Which river flows past town 4?", text).value for text in texts)
    assert good > 0.8 > 0.2 > bad


def test_a_verifiers_figures_are_json_for_machines(graded, tmp_path) -> None:
    arguments = ["--data", str(graded), "--out", str(tmp_path / "v"), "--json"]
    result = run("verifier", *arguments, "--validation-share", "0.5", "--seed", "3")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["n_validation"], report["bad_rows"]) == (150, 0)
    assert report["auroc"] > 0.95
    assert report["auroc_win_rate"] is None


def test_graded_answers_are_read_under_their_own_names_and_grades(graded, tmp_path) -> None:
    rows = [json.loads(line) for line in graded.read_text().splitlines()]
    path = tmp_path / "stars.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"prompt": r["prompt"], "reply": r["answer"], "stars": 1 + 4 * r["quality"]})
            for r in rows
        )
    )
    own = ["--map", "answer=reply", "--map", "quality=stars", "--scale", "1:5"]
    arguments = ["--data", str(path), "--out", str(tmp_path / "v"), "--json"]
    result = run("verifier", *arguments, *own)
    assert result.exit_code == 0, result.output
    assert 0.4 < json.loads(result.stdout)["mean_quality"] < 0.8


def test_few_graded_answers_stop_and_force_goes_on(graded, tmp_path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(graded.read_text().splitlines()[:100]))
    arguments = ["verifier", "--data", str(path), "--out", str(tmp_path / "v")]
    stopped = run(*arguments)
    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert "a verifier needs at least 200" in stopped.stderr
    forced = run(*arguments, "--force")
    assert forced.exit_code == 0, forced.output
    assert "a verifier needs at least 200" in forced.stderr
