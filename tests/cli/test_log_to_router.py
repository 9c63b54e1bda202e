"""The whole road: from a log without labels to a router that decides."""

import json

import pytest
from planted import planted

from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK, stand_ins

N = 320


@pytest.fixture
def log(tmp_path):
    """Return what a chatbot with one strong model has logged: no labels, and no weak answers."""
    path = tmp_path / "log.jsonl"
    rows = [
        {
            "request": {"messages": [{"role": "user", "content": prompt}]},
            "response": {
                "model": "big-2024-08-06",
                "choices": [{"message": {"role": "assistant", "content": "right, says big"}}],
            },
        }
        for prompt in planted(N, seed=7)[0]
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.loopback
def test_a_log_becomes_a_router(run, log, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    labels, router, ready = (str(tmp_path / name) for name in ("labels.jsonl", "raw", "ready"))
    models = ["--strong", STRONG, "--weak", WEAK, "--judge", JUDGE, *PRICES]
    with stand_ins() as server:
        labelled = run(
            "label", log, "--out", labels, "--mode", "score", *models, "--max-cost", "1",
            "--base-url", server.base_url, "--json", "--near-duplicates", "1",
        )  # fmt: skip
        assert labelled.exit_code == 0, labelled.output
        # The log holds the strong model's answers.
        asked = server.models_asked()
    assert set(asked) == {"small", "judge"}
    report = json.loads(labelled.stdout)
    assert report["n_labelled"] == len(set(planted(N, seed=7)[0]))
    assert report["spent_usd"] < 1.0

    trained = run(
        "train", "knn", "--data", labels, "--pair", STRONG, WEAK, "--out", router, "--json"
    )
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["apgr"] > 0.7

    # As many as need the strong model.
    share = ["--strong-share", "0.15"]
    calibrated = run("calibrate", log, "--checkpoint", router, *share, "--save", ready, "--json")
    assert calibrated.exit_code == 0, calibrated.output
    assert json.loads(calibrated.stdout.splitlines()[0])["strong_share"] == pytest.approx(
        0.15, abs=0.03
    )

    prompts, hard = planted(300, seed=8)
    lines = "\n".join(prompts)
    routed = run("route", "--checkpoint", ready, *share, "--json", stdin=lines)
    assert routed.exit_code == 0, routed.output
    routes = [json.loads(line)["route"] == "strong" for line in routed.stdout.splitlines()]
    to_strong = [needs for route, needs in zip(routes, hard, strict=True) if route]
    # A coin would find 15 % of those that need the strong model.
    assert sum(to_strong) / hard.sum() > 0.6
    assert sum(routes) / len(routes) < 0.35
