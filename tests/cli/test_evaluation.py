"""`evaluate`, `compare`, `verify` and `calibrate` as a user types them."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from routellm_core import load_router

needs_prices = pytest.mark.skipif(find_spec("litellm") is None, reason="prices come from litellm")


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """Outcomes of 300 prompts, on which the weak model fails where the router is sure it does."""
    prompts = [f"Question {index}?" for index in range(300)]
    rates = load_router("random").win_rates(prompts)
    rng = np.random.default_rng(0)
    rows = []
    for prompt, rate in zip(prompts, rates, strict=True):
        rows.append({"prompt": prompt, "model": "big", "quality": 1.0, "cost": 0.01})
        weak = float(rng.random() < 1.0 - 0.6 * rate)
        rows.append({"prompt": prompt, "model": "small", "quality": weak, "cost": 0.001})
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(f"Prompt {index}, and some words." for index in range(1000)))
    return path


@pytest.fixture
def on_random(run, tmp_path: Path, outcomes: Path):
    """Evaluate the random router on the outcomes, and write the report."""
    return lambda *more: run(
        "evaluate", "-r", "random", "-b", f"outcomes={outcomes}", "--rounds", "20",
        "--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "out"), *more,
    )  # fmt: skip


def test_evaluate_shows_every_baseline_and_fits_80_columns(on_random, tmp_path: Path) -> None:
    result = on_random()
    assert result.exit_code == 0
    for name in ("all weak", "all strong", "random, expected", "oracle", "APGR"):
        assert name in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


def test_evaluate_writes_the_same_figures_as_json(on_random, tmp_path: Path) -> None:
    [row] = [json.loads(line) for line in on_random("--json").stdout.splitlines()]
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    measurement = stored["benchmarks"][0]["routers"][0]["measurement"]
    assert row["apgr"] == measurement["apgr"]
    assert row["apgr"]["value"] > 0.6
    assert row["cost_save"] == measurement["cost_save"]


def test_a_second_run_takes_scores_from_the_cache_unless_told_not_to(on_random) -> None:
    def throughput(*more: str) -> float | None:
        return json.loads(on_random("--json", *more).stdout)["prompts_per_second"]

    assert throughput() is not None
    assert throughput() is None
    assert throughput("--overwrite-cache", "random")
    assert throughput("--no-cache")


def test_verify_finds_nothing_wrong_and_then_a_forged_figure(
    run, on_random, tmp_path: Path, outcomes: Path
) -> None:
    on_random()
    path = tmp_path / "out" / "results.json"
    assert run("verify", str(path), "-b", f"outcomes={outcomes}").exit_code == 0
    stored = json.loads(path.read_text())
    stored["benchmarks"][0]["baselines"][1]["quality"] = 0.123
    path.write_text(json.dumps(stored))
    result = run("verify", str(path))
    assert result.exit_code == 1
    assert "mine / baselines / 1 / quality: stored 0.123, computed 1.0" in result.stdout
    found = json.loads(run("verify", str(path), "--json").stdout)
    assert len(found["mismatches"]) == 1


def test_verify_finds_results_of_other_data(run, on_random, tmp_path: Path, outcomes: Path) -> None:
    on_random()
    outcomes.write_text(outcomes.read_text().replace("Question 7?", "Question seven?"))
    result = run("verify", str(tmp_path / "out" / "results.json"), "-b", f"outcomes={outcomes}")
    assert result.exit_code == 1
    assert "other data" in result.stdout


def test_compare_names_the_better_router(run, outcomes: Path, tmp_path: Path) -> None:
    folder = load_router("random", seed=9).save(tmp_path / "other")
    arguments = ("compare", "random", str(folder), "-b", f"outcomes={outcomes}", "--no-cache")
    result = run(*arguments)
    assert "APGR" in result.stdout
    found = json.loads(run(*arguments, "--json").stdout)
    assert found["verdicts"]["APGR"] == "first"
    assert found["n"] == 300


def test_training_data_in_a_benchmark_is_reported(on_random, tmp_path: Path) -> None:
    training = tmp_path / "training.jsonl"
    training.write_text('{"prompt": "QUESTION 5 ?"}\n')
    result = on_random("--training-data", str(training))
    assert "1 prompts equal one of 1" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "-r", "random", "-b", "mmlu"], "NAME=PATH"),
        (["evaluate", "-r", "random", "-b", "nope=x"], "Unknown benchmark"),
        (["evaluate", "-r", "nope", "-b", "outcomes={outcomes}"], "Unknown router"),
        (["evaluate", "-r", "random", "-b", "outcomes={outcomes}", "--strong-model", "a"], "both"),
        (["verify", "absent.json"], "cannot be read"),
        (["calibrate", "-r", "random"], "--outcomes"),
        (["calibrate", "-r", "random", "{prompts}", "--min-quality", "0.9"], "needs `--outcomes`"),
        (["calibrate", "-r", "random", "{prompts}", "--max-cost", "1"], "--output-tokens"),
        (["calibrate", "-r", "random", "{prompts}", "--method", "magic"], "isotonic or platt"),
        (["calibrate", "-r", "random", "{prompts}", "-s", "1.5"], "must lie in"),
    ],
)
def test_mistakes_are_one_line_on_stderr(
    run, outcomes: Path, prompts: Path, arguments: list[str], message: str
) -> None:
    filled = [argument.format(outcomes=outcomes, prompts=prompts) for argument in arguments]
    result = run(*filled)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_calibrate_prints_the_threshold_and_its_interval(run, prompts: Path) -> None:
    [row] = [
        json.loads(line)
        for line in run(
            "calibrate", "-r", "random", str(prompts), "-s", "0.3", "--json"
        ).stdout.splitlines()
    ]
    assert row["strong_share"] == 0.3
    assert row["low"] < 0.3 < row["high"]
    assert 0.6 < row["threshold"] < 0.8
    assert row["n_prompts"] == 1000


def test_calibrate_without_a_target_shows_four(run, prompts: Path) -> None:
    result = run("calibrate", "-r", "random", str(prompts))
    for share in ("10.0% strong", "30.0% strong", "50.0% strong", "70.0% strong"):
        assert share in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80


@needs_prices
def test_calibrate_divides_a_budget_among_calls(run, prompts: Path) -> None:
    def rows(*target: str) -> list[dict]:
        result = run(
            "calibrate", "-r", "random", str(prompts), "--strong-model", "gpt-4o",
            "--weak-model", "gpt-4o-mini", "--output-tokens", "300", "--json", *target,
        )  # fmt: skip
        return [json.loads(line) for line in result.stdout.splitlines()]

    monthly, each = rows("--max-cost", "100", "--calls", "100000"), rows("--max-cost", "0.001")
    assert monthly == each
    assert 0.0 < each[0]["strong_share"] < 1.0


@needs_prices
def test_calibrate_warns_when_a_budget_is_out_of_reach(run, prompts: Path) -> None:
    result = run(
        "calibrate", "-r", "random", str(prompts), "--strong-model", "gpt-4o",
        "--weak-model", "gpt-4o-mini", "--output-tokens", "300", "--max-cost", "0.0000001",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "out of reach" in result.stderr


def test_calibrate_on_outcomes_keeps_a_floor_and_reports_probabilities(run, outcomes: Path) -> None:
    arguments = ("calibrate", "-r", "random", "--outcomes", str(outcomes), "--min-quality", "0.8")
    floor, gain = [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]
    assert 0.0 < floor["strong_share"] < 1.0
    assert gain["probability"]["after"]["brier"] < gain["probability"]["before"]["brier"]
    shown = run(*arguments).stdout
    assert "keeps" in shown
    assert "ECE" in shown


def test_a_router_that_makes_its_own_calibration_cannot_carry_another(
    run, prompts: Path, tmp_path: Path
) -> None:
    result = run("calibrate", "-r", "random", str(prompts), "--save", str(tmp_path / "kept"))
    assert result.exit_code == 1
    assert "cannot carry another calibration" in result.stderr


def test_a_saved_calibration_is_what_the_checkpoint_then_answers_with(
    run, outcomes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    saved = run("calibrate", "-r", "mf", "--outcomes", str(outcomes), "--save", str(folder))
    assert saved.exit_code == 0
    calibration = load_router("mf", checkpoint=folder).calibration
    assert calibration is not None
    assert (calibration.n_prompts, calibration.source) == (300, "mine.jsonl")
    assert calibration.quality_floors is not None
    assert calibration.probability is not None
    assert run("route", "--checkpoint", str(folder), "-s", "0.2", "Hi").exit_code == 0


def test_a_probability_map_that_does_not_help_is_not_stored(run, tmp_path: Path) -> None:
    prompts = [f"Question {index}, {index % 7} of them?" for index in range(40)]
    rates = load_router("mf").raw_win_rates(prompts)
    # The win rates are right as they are: a map fitted on 20 of these prompts makes them worse.
    wins = np.random.default_rng(1).random(40) < 2.0 * rates - 1.0
    rows = [
        {"prompt": prompt, "model": model, "quality": float(model == "big" or not won)}
        for prompt, won in zip(prompts, wins, strict=True)
        for model in ("big", "small")
    ]
    path, folder = tmp_path / "few.jsonl", tmp_path / "mine"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    saved = run("calibrate", "-r", "mf", "--outcomes", str(path), "--save", str(folder), "--json")
    assert saved.exit_code == 0
    [found] = [row for row in map(json.loads, saved.stdout.splitlines()) if "probability" in row]
    gain = found["probability"]
    assert gain["after"]["brier"] > gain["before"]["brier"]
    assert gain["helps"] is False
    assert "does not lower the Brier score" in saved.stderr
    calibration = load_router("mf", checkpoint=folder).calibration
    assert calibration is not None
    assert calibration.n_prompts == 40
    assert calibration.probability is None
    assert calibration.quality_floors is not None


def test_a_report_names_checkpoints_without_their_paths(
    run, outcomes: Path, tmp_path: Path
) -> None:
    folder = load_router("random", seed=4).save(tmp_path / "fourth")
    result = run(
        "evaluate", "-r", f"random={folder}", "-r", str(folder), "-b", f"outcomes={outcomes}",
        "--no-cache", "--rounds", "5", "--json",
    )  # fmt: skip
    labels = [json.loads(line)["router"] for line in result.stdout.splitlines()]
    assert labels == ["random:fourth", "fourth"]
