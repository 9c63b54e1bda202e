"""People's judgments: what is read, the ranking against known difficulties, agreement, labels."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from routellm_core.errors import ConfigurationError, DataError, UnknownModelError
from routellm_core.labeling.agreement import wilson_interval
from routellm_core.labeling.judgments import (
    analyze_judgments,
    label_questions,
    read_judgments,
    render_analysis,
    write_labels,
)
from tests.labeling.votes import INFERIOR, SUPERIOR, vote_row, votes

HARD, EASY = "ROUTE_TO_SUPERIOR", "ROUTE_TO_INFERIOR"
GROUPS = {"superior": SUPERIOR, "inferior": INFERIOR}


def analysis_of(rows, **options):
    return analyze_judgments(read_judgments(rows), **{**GROUPS, **options})


def two_models(rows):
    return analysis_of(rows, superior=["gpt-4"], inferior=["llama-13b"])


# What is read.


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_published_schema_is_read_from_every_kind_of_file(suffix: str, tmp_path) -> None:
    rows = votes({81: 0.9, 82: 0.2}, per_question=6)
    path = tmp_path / f"votes.{suffix}"
    if suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif suffix == "csv":
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                texts = {name: json.dumps(row[name]) for name in row if "conversation" in name}
                writer.writerow({**row, **texts})
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read_judgments(path).votes == read_judgments(rows).votes


def test_the_prompt_is_the_users_message_of_the_turn() -> None:
    rows = [vote_row(81, "tie", turn=1), vote_row(81, "tie (inconsistent)", turn=2)]
    first, second = read_judgments(rows).votes
    assert (first.prompt, second.prompt) == ("Question 81?", "And question 81 again?")
    assert (first.question, first.turn, second.turn) == ("81", 1, 2)
    assert (first.score_a, second.score_a) == (0.5, 0.5)


def test_a_judge_may_be_a_list_and_a_question_may_lack_an_identifier() -> None:
    row = {"prompt": "Hi", "model_a": "a", "model_b": "b", "winner": "model_b",
           "judge": ["gpt-4", "pair-v2"]}  # fmt: skip
    (vote,) = read_judgments([row]).votes
    assert (vote.question, vote.judge, vote.score_a) == ("Hi", "gpt-4, pair-v2", 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"winner": "gpt-4"}, "`winner` must be one of model_a, model_b"),
        ({"model_b": "gpt-4"}, "must differ, got 'gpt-4' for both"),
        ({"model_a": None}, "`model_a` must be a text"),
        ({"turn": 2}, "must hold the user's message of turn 2, got 1 of"),
        ({"turn": 1.5}, "`turn` must be a whole number from 1 on, got 1.5"),
        ({"conversation_a": None}, "must be a list of messages, got nothing"),
        ({"conversation_a": "[{'role'"}, "must be a JSON list of messages"),
        ({"conversation_a": [{"role": "user", "content": "Other?"}]}, "has another text in turn 1"),
    ],
)
def test_a_bad_row_is_left_out_and_told(change, told) -> None:
    read = read_judgments([vote_row(81, "tie"), {**vote_row(81, "tie"), **change}])
    assert (len(read), read.report.n_bad) == (1, 1)
    assert told in str(read.report)


def test_rows_of_something_else_are_told_by_their_fields() -> None:
    with pytest.raises(
        DataError, match=r"has no `model_a` and no .*`winner`\. Its fields: ticket, text"
    ):
        read_judgments([{"ticket": 1, "text": "Hi"}])


# Difficulty.


def test_a_share_without_ties_has_the_wilson_interval() -> None:
    winners = ["model_a"] * 8 + ["model_b"] * 2
    rows = [vote_row(81, won, judge=f"expert_{n}") for n, won in enumerate(winners)]
    (question,) = two_models(rows).questions
    assert question.superior_share == wilson_interval(8, 10)
    assert (question.n_votes, question.n_judges) == (10, 10)


def test_the_superior_model_may_be_either_of_the_two() -> None:
    rows = [
        vote_row(81, "model_b", model_a="llama-13b", model_b="gpt-4"),
        vote_row(81, "model_a"),
        vote_row(81, "tie"),
    ]
    (question,) = two_models(rows).questions
    assert question.superior_share.value == pytest.approx(2.5 / 3)


def test_with_ties_the_votes_of_one_judge_are_drawn_together() -> None:
    # Twelve judges of one opinion each: ten votes of one judge say no more than one.
    def interval(repeats: int):
        rows = [
            vote_row(81, ["model_a", "model_b", "tie"][judge % 3], judge=f"expert_{judge}")
            for judge in range(12)
            for _ in range(repeats)
        ]
        return two_models(rows).questions[0].superior_share

    assert interval(10) == interval(1)
    assert interval(1).high - interval(1).low > 0.3


def test_difficulties_are_drawn_to_the_mean_as_the_beta_prior_of_the_truth_asks() -> None:
    rng = np.random.default_rng(5)
    truth = dict(enumerate(rng.beta(6.0, 2.0, 400).tolist()))
    found = analysis_of(votes(truth, per_question=40, tie_share=0.0, seed=1))
    first = [one for one in found.questions if one.turn == 1]
    # The prior's two parameters add up to 8 votes.
    assert found.prior_votes == pytest.approx(8.0, rel=0.2)
    assert found.mean == pytest.approx(0.75, abs=0.02)
    known = np.array([truth[int(one.question)] for one in first])

    def error(guesses) -> float:
        return float(np.mean((np.array(guesses) - known) ** 2))

    drawn = error([one.difficulty for one in first])
    assert drawn < 0.7 * error([one.superior_share.value for one in first])
    assert drawn < 0.7 * error([found.mean] * len(first))
    ranks = np.argsort(np.argsort([one.difficulty for one in first]))
    assert np.corrcoef(ranks, np.argsort(np.argsort(known)))[0, 1] > 0.6


def test_votes_at_random_are_said_to_tell_nothing_apart() -> None:
    rows = [
        vote_row(question, won, judge=f"expert_{n}")
        for question in range(20)
        for n, won in enumerate(["model_a", "model_b"] * 4)
    ]
    found = two_models(rows)
    assert math.isinf(found.prior_votes)
    assert {one.difficulty for one in found.questions} == {0.5}
    assert "do not tell the questions apart" in render_analysis(found)
    assert found.values()["prior_votes"] is None


def test_questions_that_no_vote_contradicts_are_as_difficult_as_their_votes() -> None:
    rows = [
        vote_row(question, "model_a" if question else "model_b", judge=f"expert_{n}")
        for question in (0, 1)
        for n in range(3)
    ]
    found = two_models(rows)
    assert [one.difficulty for one in found.questions] == [1.0, 0.0]
    assert found.prior_votes == 0.0


def test_turns_are_ranked_by_themselves() -> None:
    rows = [vote_row(81, "model_a", turn=1), vote_row(81, "model_b", turn=2)] * 3
    found = two_models(rows)
    assert [(one.turn, one.superior_share.value) for one in found.questions] == [(1, 1.0), (2, 0.0)]
    assert found.turns == (1, 2)


# Models and groups.


def test_win_rates_count_ties_half_and_every_opponent() -> None:
    rows = [vote_row(81, "model_a"), vote_row(82, "tie"),
            vote_row(81, "model_b", model_b="claude-v1")]  # fmt: skip
    found = analyze_judgments(read_judgments(rows))
    rates = {one.model: one.win_rate.value for one in found.models}
    assert rates == {"claude-v1": 1.0, "gpt-4": 0.5, "llama-13b": 0.25}
    (gpt,) = [one for one in found.models if one.model == "gpt-4"]
    assert gpt.against == {"claude-v1": 0.0, "llama-13b": 0.75}
    # By default: who wins more than half, against the others.
    assert (found.superior, found.inferior) == (("claude-v1",), ("gpt-4", "llama-13b"))


def test_groups_that_cannot_be_used_are_refused() -> None:
    rows = votes({81: 0.9}, per_question=20)
    with pytest.raises(UnknownModelError, match="Did you mean 'gpt-4'"):
        analysis_of(rows, superior=["gpt4"])
    with pytest.raises(ConfigurationError, match="'gpt-4' is both"):
        analysis_of(rows, superior=["gpt-4"], inferior=["gpt-4"])
    with pytest.raises(ConfigurationError, match="No model is inferior"):
        analysis_of(rows, superior=[*SUPERIOR, *INFERIOR], inferior=None)
    within = [vote_row(81, "tie", model_b="claude-v1"), vote_row(81, "tie", model_a="alpaca-13b")]
    with pytest.raises(DataError, match="No vote is between gpt-4 and llama-13b"):
        two_models(within)


# Agreement.


def test_agreement_of_three_judges_by_hand() -> None:
    rows = [
        vote_row(81, "model_a", judge="expert_1"),
        # The same winner, with the answers shown the other way round.
        vote_row(81, "model_b", judge="expert_2", model_a="llama-13b", model_b="gpt-4"),
        vote_row(81, "tie", judge="author_1"),
        vote_row(82, "model_a", judge="expert_1"),  # alone: no pair
        vote_row(81, "model_a", judge="expert_1", turn=2),
        vote_row(81, "model_b", judge="author_1", turn=2),
    ]
    found = two_models(rows).agreement
    assert found.n_items == 2
    assert (found.all_judges.n_pairs, found.all_judges.agreement.value) == (4, 0.25)
    assert (found.all_judges.n_decided, found.all_judges.decided_agreement.value) == (2, 0.5)
    kinds = {one.kinds: (one.n_pairs, one.agreement.value) for one in found.kinds}
    assert kinds == {("author", "expert"): (3, 0.0), ("expert", "expert"): (1, 1.0)}


@pytest.mark.parametrize("seed", range(5))
def test_agreement_beyond_chance_is_that_of_scikit_learn_and_of_fleiss(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, n = ["model_a", "model_b", "tie"], 60
    truth = rng.integers(0, 3, n)
    judges = {
        name: [labels[t] if rng.random() < 0.6 else labels[rng.integers(0, 3)] for t in truth]
        for name in ("expert_1", "expert_2", "expert_3", "author_1")
    }
    rows = [
        vote_row(question, said[question], judge=name)
        for name, said in judges.items()
        for question in range(n)
    ]
    found = {one.kinds: one for one in two_models(rows).agreement.kinds}
    experts = ["expert_1", "expert_2", "expert_3"]
    # Every author's vote with every expert's.
    pairs = [
        (a, b) for name in experts for a, b in zip(judges["author_1"], judges[name], strict=True)
    ]
    between = found["author", "expert"]
    assert between.beyond_chance == pytest.approx(
        metrics.cohen_kappa_score(*zip(*pairs, strict=True))
    )
    assert between.agreement.value == pytest.approx(
        metrics.accuracy_score(*zip(*pairs, strict=True))
    )
    # Fleiss' kappa of complete ratings, and alpha's correction for small samples.
    counts = np.array([[[judges[name][q] for name in experts].count(label) for label in labels]
                       for q in range(n)])  # fmt: skip
    m = len(experts)
    observed = ((counts**2).sum(1) - m).mean() / (m * (m - 1))
    chance = float(((counts.sum(0) / (n * m)) ** 2).sum())
    fleiss = (observed - chance) / (1 - chance)
    expected = fleiss + (1 - fleiss) / (n * m)
    assert found["expert", "expert"].beyond_chance == pytest.approx(expected)


def test_votes_of_one_judge_are_no_agreement() -> None:
    rows = [vote_row(81, "model_a"), vote_row(81, "model_a"), vote_row(82, "model_b")]
    found = two_models(rows)
    assert found.agreement is None
    assert "No two judges" in render_analysis(found)


# Labels.


@pytest.fixture
def ranked():
    """Return the analysis of twenty questions, of which question 1 is the hardest."""
    rows = [
        vote_row(question, "model_a" if n >= question else "model_b", judge=f"expert_{n}")
        for question in range(1, 21)
        for n in range(1, 21)
    ]
    return two_models(rows)


def test_the_hardest_share_needs_the_superior_model_and_both_ends_are_examples(ranked) -> None:
    split = label_questions(ranked, hard_share=0.4, n_examples=5)
    shown = [(one.question, label) for one, label in split.examples]
    assert shown == [("1", HARD), ("20", EASY), ("2", HARD), ("19", EASY), ("18", EASY)]
    test = [(int(one.question), label) for one, label in split.test]
    assert test == [(n, HARD if n <= 8 else EASY) for n in range(3, 18)]


def test_labels_are_rows_for_a_judge_and_for_a_benchmark(ranked, tmp_path) -> None:
    from routellm_core.evaluation import load_benchmark

    split = label_questions(ranked)
    write_labels(tmp_path / "test.jsonl", split.test)
    row = json.loads((tmp_path / "test.jsonl").read_text().splitlines()[0])
    assert row == {
        "prompt": "Question 5?", "label": HARD, "question_id": "5", "turn": 1,
        "superior_share": 0.8, "difficulty": row["difficulty"], "n_votes": 20,
    }  # fmt: skip
    assert 0.7 < row["difficulty"] < 0.8
    loaded = load_benchmark("routes", tmp_path / "test.jsonl")
    assert loaded.prompts == tuple(one.prompt for one, _ in split.test)
    assert loaded.weak.tolist() == [float(label == EASY) for _, label in split.test]


def test_labels_that_cannot_be_made_are_refused(ranked) -> None:
    with pytest.raises(ConfigurationError, match="`hard_share` must lie in"):
        label_questions(ranked, hard_share=1.0)
    with pytest.raises(ConfigurationError, match="`n_examples` must be at least 0"):
        label_questions(ranked, n_examples=-1)
    with pytest.raises(DataError, match=r"No question is of turn 2. Turns: 1\."):
        label_questions(ranked, turn=2)
    with pytest.raises(DataError, match="too few for 20 examples"):
        label_questions(ranked, n_examples=20)


# The page.


class Reader(HTMLParser):
    """Collects what a page opens, closes and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.words = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "circle", "rect", "polyline", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words += data


def test_the_page_is_whole_and_loads_nothing() -> None:
    prompts = {n: (f"Is {n} < 90 & <script>alert({n})</script>?", "Why?") for n in range(81, 101)}
    rows = votes(dict.fromkeys(prompts, 0.7), prompts=prompts)
    page = render_analysis(analysis_of(rows))
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.loads == []
    assert "script" not in reader.tags
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert "Is 81 < 90 & <script>alert(81)</script>?" in reader.words
    for model in (*SUPERIOR, *INFERIOR):
        assert model in reader.words
    # Two turns, each with its ranking and its histogram.
    assert reader.tags.count("figure") == 4
