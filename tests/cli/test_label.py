"""`routellm label`, from a log to labels, over the wire."""

import json

import pytest
from planted import planted

from routellm_core._litellm import import_litellm
from routellm_core.data import read_battles, read_outcomes
from routellm_core.labeling.labelling import journal_path
from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK, stand_ins

MODELS = ["--strong", STRONG, "--weak", WEAK, "--judge", JUDGE]


@pytest.fixture
def log(tmp_path):
    prompts, _ = planted(40, seed=5)
    path = tmp_path / "log.jsonl"
    rows = [
        {"model": "gpt", "messages": [{"role": "user", "content": prompt}]} for prompt in prompts
    ]
    path.write_text("\n".join(json.dumps(row) for row in [*rows, {"nothing": 1}]))
    return path


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with stand_ins() as server:
        yield server


@pytest.fixture
def label(run, log, server, tmp_path):
    def label(*arguments: str, out="labels.jsonl", models=MODELS, cap="5", source=log):
        limit = ["--max-cost", cap] if cap else []
        return run(
            "label", str(source), "--out", str(tmp_path / out), *models, *PRICES, *limit,
            "--base-url", server.base_url, *arguments,
        )  # fmt: skip

    return label


@pytest.mark.loopback
def test_a_log_becomes_battles_and_a_report(label, log, server, tmp_path) -> None:
    litellm = import_litellm()
    clients = set(litellm.in_memory_llm_clients_cache.cache_dict)
    result = label("--near-duplicates", "1")
    assert result.exit_code == 0, result.output
    prompts, hard = planted(40, seed=5)
    battles = read_battles(tmp_path / "labels.jsonl")
    assert battles.prompts == tuple(prompts)
    assert battles.score_a.tolist() == [1.0 if needs else 0.5 for needs in hard]
    assert "line 41: the row has no prompt" in result.stderr
    said = " ".join(result.stdout.split())
    assert "40 of 40 prompts labelled: 40 rows" in said
    assert f"{STRONG} better {hard.mean():.1%}" in said
    assert "0.0% of verdicts change with the order; bias to the first answer +0.000" in said
    assert f"Next: routellm adapt --data {tmp_path / 'labels.jsonl'} --pair {STRONG}" in said
    n_calls = len(server.requests)
    assert f"Calls: {n_calls}; spent 0.0" in said
    # The command ends its event loop, and leaves no client of it open.
    assert set(litellm.in_memory_llm_clients_cache.cache_dict) == clients
    # The journal knows everything already.
    again = label("--near-duplicates", "1", "--json")
    assert len(server.requests) == n_calls
    report = json.loads(again.stdout)
    assert (report["n_labelled"], report["n_calls"]) == (40, 0)
    assert report["pairs"][0]["a"] == pytest.approx(hard.mean())
    assert report["position_bias"]["value"] == 0.0


@pytest.mark.loopback
@pytest.mark.parametrize("mode", ["score", "route"])
def test_the_other_modes_with_a_judge_become_battles(mode: str, label, tmp_path) -> None:
    result = label("--mode", mode, "--near-duplicates", "1")
    assert result.exit_code == 0, result.output
    _, hard = planted(40, seed=5)
    scores = read_battles(tmp_path / "labels.jsonl").score_a
    assert scores.tolist() == [1.0 if needs else 0.5 for needs in hard]
    assert ("weakest" in result.stderr) == (mode == "route")


@pytest.mark.loopback
def test_known_answers_and_feedback_need_no_judge(label, server, tmp_path) -> None:
    path = tmp_path / "known.jsonl"
    rows = [{"question": f"easy {n}", "expected_output": "right, says big"} for n in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)))
    pair = MODELS[:4]
    result = label("--mode", "reference", "--comparison", "exact", models=pair, source=path)
    assert result.exit_code == 0, result.output
    found = read_outcomes(tmp_path / "labels.jsonl")
    assert found.quality.tolist() == [[1.0, 0.0]] * 4
    assert found.cost.min() > 0.0
    n_calls = len(server.requests)

    rows = [{"prompt": "p", "model": "big", "stars": 5}, {"prompt": "p", "model": "small",
            "stars": 3}, {"prompt": "P ", "model": "small", "stars": 1}]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    rated = ["--mode", "feedback", "--rating", "stars", "--scale", "1:5"]
    result = label(*rated, models=[], source=path, out="rated.jsonl", cap="")
    assert result.exit_code == 0, result.output
    # What is free is labelled, near or not.
    found = read_outcomes(tmp_path / "rated.jsonl")
    assert found.prompts == ("p", "P ")
    assert found.quality[0].tolist() == [1.0, 0.5]
    assert "1 prompts have an outcome of every model" in result.stdout
    assert len(server.requests) == n_calls


@pytest.mark.loopback
def test_a_dry_run_says_the_price_and_asks_nobody(label, server, tmp_path) -> None:
    result = label("--dry-run", "--near-duplicates", "1", cap="")
    assert result.exit_code == 0, result.output
    assert server.requests == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]
    assert "nobody was asked" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    calls = {row[0]: row[1] for row in rows if len(row) > 2 and row[1].isdigit()}
    assert calls[STRONG] == calls[WEAK] == "40"
    assert calls[JUDGE] == "80"
    assert calls["together"] == "160"
    found = json.loads(label("--dry-run", "--near-duplicates", "1", "--json", cap="").stdout)
    assert found["n_calls"] == 160
    assert found["cost_usd"] == pytest.approx(sum(one["cost_usd"] for one in found["models"]))
    label("--near-duplicates", "1")
    found = json.loads(label("--dry-run", "--near-duplicates", "1", "--json").stdout)
    assert found["n_calls"] == 0
    assert found["spent_usd"] > 0.0


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("mode", "given", "reason"),
    [
        ("reference", {"reference": "4"}, "no reference"),
        ("feedback", {"feedback": {"score": 1}}, "no feedback"),
    ],
)
def test_a_dry_run_says_how_many_prompts_will_get_no_label(
    label, server, tmp_path, mode, given, reason
) -> None:
    path, pair = tmp_path / "partly.jsonl", ["--strong", STRONG, "--weak", WEAK]
    rows = [{"prompt": f"Question {i}?", "model": STRONG, **(given if i else {})} for i in range(3)]
    path.write_text("\n".join(map(json.dumps, rows)))
    options = ["--mode", mode, "--dry-run", "--near-duplicates", "1"]
    result = label(*options, models=pair, source=path, cap="")
    assert result.exit_code == 0, result.output
    assert f"1 of 3 prompts will get no label: 1 with {reason}." in " ".join(result.stdout.split())
    assert ("--reference-field" in result.stdout) == (mode == "reference")
    told = json.loads(label(*options, "--json", models=pair, source=path, cap="").stdout)
    assert told["problems"] == {reason: 1}
    path.write_text("\n".join(map(json.dumps, rows[1:])))
    assert "no label" not in label(*options, models=pair, source=path, cap="").stdout
    assert server.requests == []


@pytest.mark.loopback
def test_a_log_by_columns_is_labelled_row_by_row(label, tmp_path) -> None:
    path, pair = tmp_path / "columns.json", ["--strong", STRONG, "--weak", WEAK]
    columns = {"prompt": {"0": "2+2?", "1": "3+3?"}, "reference": {"0": "4", "1": None}}
    path.write_text(json.dumps(columns))
    options = ["--mode", "reference", "--dry-run", "--near-duplicates", "1", "--json"]
    told = json.loads(label(*options, models=pair, source=path, cap="").stdout)
    assert (told["n_prompts"], told["problems"]) == (2, {"no reference": 1})


@pytest.mark.loopback
def test_the_cap_holds_and_the_same_command_goes_on(label, server, tmp_path) -> None:
    options = ["--near-duplicates", "1", "--max-tokens", "20", "--json"]
    capped = label(*options, cap="0.02")
    assert capped.exit_code == 0, capped.output
    first = json.loads(capped.stdout)
    assert "--max-cost" in " ".join(capped.stderr.split())
    assert 0 < first["n_labelled"] < 40
    assert first["spent_usd"] <= 0.02
    rest = json.loads(label(*options, cap="9").stdout)
    assert rest["n_labelled"] == 40
    assert first["n_calls"] + rest["n_calls"] == len(server.requests)
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys)) == len(keys)


@pytest.mark.loopback
def test_a_sample_holds_what_people_judged(label, tmp_path) -> None:
    prompts, hard = planted(40, seed=5)
    people = tmp_path / "people.csv"
    lines = [
        f'"{prompt}",big,small,{"model_a" if needs else "tie"}'
        for prompt, needs in zip(prompts[:22], hard[:22], strict=True)
    ]
    people.write_text("\n".join(["prompt,model_a,model_b,winner", *lines]))
    result = label(
        "--sample", "30", "--human-sample", str(people), "--json", "--near-duplicates", "1"
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["n_labelled"] == 30
    assert report["agreement"]["n"] == 22
    assert report["agreement"]["agreement"]["value"] == 1.0
    shown = label("--sample", "30", "--human-sample", str(people), "--near-duplicates", "1")
    assert "Judge and people, 22 labels: agreement 100.0%" in shown.stdout
    assert set(read_battles(tmp_path / "labels.jsonl").prompts) >= set(prompts[:22])


@pytest.mark.loopback
def test_several_answers_are_scored_to_soft_labels(label, tmp_path) -> None:
    options = ["--mode", "score", "--answers", "2", "--soft", "prob", "--sample", "8"]
    result = label(*options)
    assert result.exit_code == 0, result.output
    assert set(read_battles(tmp_path / "labels.jsonl").score_a.tolist()) <= {0.0, 1.0}


@pytest.mark.loopback
def test_a_wrong_key_is_one_line_and_writes_no_labels(label, server, tmp_path) -> None:
    from routellm_core.testing import Step

    server.script(*[Step(status=401)] * 20)
    result = label()
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()[-1:]) == 1
    assert "status 401" in result.stderr
    assert not (tmp_path / "labels.jsonl").exists()
    assert journal_path(tmp_path / "labels.jsonl").exists()


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([], {"cap": ""}, "--max-cost inf"),
        ([], {"models": ["--strong", STRONG]}, "both `--strong` and `--weak`"),
        (["--mode", "pairs"], {}, "Did you mean 'pairwise'"),
        (["--price", "m=1"], {}, "MODEL=IN:OUT"),
        (["--base-url", "localhost:80"], {}, "URL or MODEL=URL"),
        (["--scale", "5"], {}, "LOW:HIGH"),
        (["--judge", "openia/judge"], {}, "no provider of 'openia/judge'"),
    ],
)
def test_what_cannot_be_used_is_one_line(arguments, options, message, label, server) -> None:
    if "openia/judge" in arguments:
        arguments = [*arguments, "--price", "openia/judge=1:1"]
        options = {"models": MODELS[:4]}
    result = label(*arguments, **options)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert server.requests == []


@pytest.mark.loopback
def test_routes_are_shown_with_examples(label, server, tmp_path) -> None:
    examples = tmp_path / "examples.jsonl"
    shown = [{"prompt": "hi", "label": "ROUTE_TO_INFERIOR"}]
    examples.write_text("\n".join(map(json.dumps, shown)))
    result = label("--mode", "route", "--examples", str(examples), "--sample", "1")
    assert result.exit_code == 0, result.output
    asked = server.requests[0].body["messages"][0]["content"]
    assert "Request: hi\nReply: ROUTE_TO_INFERIOR" in asked
    examples.write_text('{"prompt": "hi", "label": "good"}')
    assert "got 'good'" in label("--mode", "route", "--examples", str(examples)).stderr
