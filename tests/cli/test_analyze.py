"""`routellm analyze`: from votes to a page, examples and a test set."""

from __future__ import annotations

import json

import pytest

from tests.labeling.votes import votes


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "votes.jsonl"
    rows = votes({n: 0.95 if n % 3 == 0 else 0.4 for n in range(81, 111)}, per_question=60)
    found.write_text("\n".join(map(json.dumps, [*rows, {"winner": "tie"}])))
    return found


def test_votes_become_a_page_examples_and_a_test_set(run, path, tmp_path) -> None:
    out = tmp_path / "analysis"
    arguments = ["analyze", str(path), "--superior", "gpt-4,claude-v1", "--out", str(out)]
    result = run(*arguments, "--hard-share", "0.34", "--examples", "6")
    assert result.exit_code == 0, result.output
    assert "1,800 votes of 24 judges" in result.stdout
    assert "line 1801: the row has no `model_a` and no `model_b`" in result.stderr
    assert "examples.jsonl (6 questions) and test.jsonl (24 questions)" in result.stderr
    assert sorted(file.name for file in out.iterdir()) == [
        "analysis.html", "analysis.json", "examples.jsonl", "test.jsonl",
    ]  # fmt: skip
    labels = {}
    for name in ("examples", "test"):
        for line in (out / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert row["turn"] == 1
            labels[int(row["question_id"])] = row["label"]
    assert labels == {
        n: "ROUTE_TO_SUPERIOR" if n % 3 == 0 else "ROUTE_TO_INFERIOR" for n in range(81, 111)
    }
    # The same votes give the same files.
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert run(*arguments, "--hard-share", "0.34", "--examples", "6").exit_code == 0
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_json_says_what_the_table_says(run, path) -> None:
    result = run("analyze", str(path), "--json")
    found = json.loads(result.stdout)
    assert found["superior"] == ["gpt-4", "claude-v1"] or found["superior"] == [
        "claude-v1",
        "gpt-4",
    ]
    assert len(found["questions"]) == 60
    shown = " ".join(run("analyze", str(path)).stdout.split())
    for model in found["models"]:
        rate = model["win_rate"]
        assert f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})" in shown
    agreement = found["agreement"]["all_judges"]
    assert f"Agreement of all judges: {agreement['agreement']['value']:.1%}" in shown
    hardest = found["questions"][0]
    assert f"{hardest['difficulty']:.1%} {hardest['question']}: {hardest['prompt']}" in shown


def test_categories_come_from_a_file_of_questions(run, path, tmp_path) -> None:
    questions = tmp_path / "question.jsonl"
    rows = [
        {"question_id": n, "category": "maths" if n % 3 == 0 else "chat"} for n in range(81, 111)
    ]
    questions.write_text("\n".join(map(json.dumps, rows)))
    result = run("analyze", str(path), "--questions", str(questions), "--json")
    categories = json.loads(result.stdout)["categories"]
    assert [(one["category"], one["n_questions"]) for one in categories] == [
        ("maths", 10), ("chat", 20),
    ]  # fmt: skip
    low, high = (categories[0]["superior_share"][name] for name in ("low", "high"))
    assert low < 0.86 < high  # ties are a fifth: 0.8 * 0.95 + 0.1
