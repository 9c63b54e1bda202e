"""Reading one's own battles and outcomes."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from routellm_core import DataError, ModelPair, UnknownModelError
from routellm_core.data import read_battles, read_outcomes

BATTLES = [
    {"prompt": "What is 2+2?", "model_a": "big", "model_b": "small", "winner": "tie"},
    {"prompt": "Prove it.", "model_a": "small", "model_b": "big", "winner": "model_b"},
    {"prompt": 'Say, "hi"\nthere', "model_a": "big", "model_b": "mid", "winner": "model_a"},
]
OUTCOMES = [
    {"prompt": "a", "model": "big", "quality": 1.0, "cost": 0.02},
    {"prompt": "a", "model": "small", "quality": 0.0, "cost": 0.001},
    {"prompt": "b", "model": "big", "quality": 0.5, "cost": 0.03},
]
PAIR = ModelPair(strong="big", weak="small")


def written(rows, path):
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_format_gives_the_same_battles(tmp_path, suffix) -> None:
    battles = read_battles(written(BATTLES, tmp_path / f"battles{suffix}"))
    assert battles.prompts == tuple(row["prompt"] for row in BATTLES)
    assert battles.models == ("big", "mid", "small")
    assert battles.model_a.tolist() == [0, 2, 0]
    assert battles.model_b.tolist() == [2, 0, 1]
    assert battles.score_a.tolist() == [0.5, 0.0, 1.0]
    assert battles.report.n_bad == 0


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_format_gives_the_same_outcomes(tmp_path, suffix) -> None:
    outcomes = read_outcomes(written(OUTCOMES, tmp_path / f"outcomes{suffix}"))
    assert outcomes.prompts == ("a", "b")
    assert outcomes.models == ("big", "small")
    np.testing.assert_array_equal(outcomes.quality, [[1.0, 0.0], [0.5, np.nan]])
    np.testing.assert_array_equal(outcomes.cost, [[0.02, 0.001], [0.03, np.nan]])


def test_arena_preferences_are_read_without_conversion() -> None:
    rows = [
        {
            "id": 1,
            "model_a": "big",
            "model_b": "small",
            "prompt": json.dumps(["  First turn \n", "second"]),
            "winner_model_a": a,
            "winner_model_b": b,
            "winner_tie": t,
        }
        for a, b, t in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    battles = read_battles(rows)
    assert battles.prompts[0] == "First turn"
    assert battles.score_a.tolist() == [1.0, 0.0, 0.5]
    assert battles.from_arena


def test_arena_conversations_are_read_without_conversion() -> None:
    conversation = [{"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "!"}]
    rows = [
        {"model_a": "x", "model_b": "y", "winner": winner, "conversation_a": conversation}
        for winner in ["model_b", "tie (bothbad)"]
    ]
    battles = read_battles(rows)
    assert battles.prompts == ("Hi there", "Hi there")
    assert battles.score_a.tolist() == [0.0, 0.5]


JUDGED = {"source": ["made"], "gpt4_response": "4.", "mixtral_response": "Four."}
JUDGED_PAIR = ModelPair(strong="gpt-4-1106-preview", weak="mixtral-8x7b-instruct-v0.1")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_mixtrals_answer_will_do_from_score_four_on(tmp_path, suffix) -> None:
    rows = [{"prompt": f"p{score}", "mixtral_score": score, **JUDGED} for score in range(1, 6)]
    battles = read_battles(written(rows, tmp_path / f"judged{suffix}"))
    assert battles.score_a.tolist() == [1.0, 1.0, 1.0, 0.5, 0.5]
    pair = battles.of_pair(JUDGED_PAIR)
    assert pair.prompts == ("p1", "p2", "p3", "p4", "p5")
    assert pair.quality.tolist() == [[1.0, 0.0]] * 3 + [[0.5, 0.5]] * 2
    assert not battles.from_arena


@pytest.mark.parametrize("score", [None, "", "good", 0, 7, float("nan"), float("inf")])
def test_a_judged_row_without_a_score_from_one_to_five_is_bad(score) -> None:
    good = {"prompt": "p", "mixtral_score": 5, **JUDGED}
    report = read_battles([good, {**good, "mixtral_score": score}]).report
    assert (report.n_bad, report.shown[0].lines) == (1, (2,))
    assert "`mixtral_score` must" in report.shown[0].reason


def test_a_judged_row_that_lacks_its_score_or_its_prompt_is_bad() -> None:
    good = {"prompt": "p", "mixtral_score": 5, **JUDGED}
    lacking = [{key: good[key] for key in good if key != gone} for gone in good]
    report = read_battles([good, *lacking]).report
    assert [rows.lines for rows in report.shown] == [(2,), (3,)]


def test_a_row_that_names_its_models_is_read_by_its_own_winner() -> None:
    assert read_battles([{**BATTLES[2], "mixtral_score": 5}]).score_a.tolist() == [1.0]


def test_a_soft_label_replaces_the_winner() -> None:
    rows = [{"prompt": "p", "model_a": "x", "model_b": "y", "score_a": 0.7}]
    assert read_battles(rows).score_a.tolist() == [0.7]


def test_bad_rows_are_counted_and_shown_once_for_each_reason_with_their_first_lines(
    tmp_path,
) -> None:
    good = json.dumps(BATTLES[0])
    path = tmp_path / "battles.jsonl"
    path.write_text("\n".join([good, "", "not json", *['{"prompt": "p"}'] * 11, good]))
    battles = read_battles(path)
    assert len(battles) == 2
    assert battles.positions.tolist() == [0, 13]
    assert (battles.report.n_rows, battles.report.n_bad) == (14, 12)
    invalid, unnamed = battles.report.shown
    assert (invalid.lines, invalid.n) == ((3,), 1)
    assert "not valid JSON" in invalid.reason
    assert (unnamed.lines, unnamed.n) == ((4, 5, 6, 7, 8), 11)
    assert "lines 4, 5, 6, 7, 8 and 6 more: `model_a` must be" in str(battles.report)


def test_a_csv_row_is_named_by_the_line_it_starts_on(tmp_path) -> None:
    path = tmp_path / "battles.csv"
    path.write_text(
        'prompt,model_a,model_b,winner\n"two\nlines",x,y,model_a\nshort,x\np,x,y,nobody\n'
    )
    report = read_battles(path).report
    assert [rows.lines for rows in report.shown] == [(4,), (5,)]
    assert "number of fields" in report.shown[0].reason
    assert "'nobody'" in report.shown[1].reason


def test_strict_stops_at_the_first_bad_row(tmp_path) -> None:
    path = written(
        [*OUTCOMES, {"prompt": "c", "model": "big", "quality": 2.0}], tmp_path / "o.jsonl"
    )
    with pytest.raises(DataError, match=r"line 4: `quality` must lie in \[0.0, 1.0\], got 2.0"):
        read_outcomes(path, strict=True)
    assert len(read_outcomes(path)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": "", "model": "m", "quality": 1},
        {"prompt": "p", "model": None, "quality": 1},
        {"prompt": "p", "model": "m", "quality": "good"},
        {"prompt": "p", "model": "m", "quality": float("nan")},
        {"prompt": "p", "model": "m", "quality": 1, "cost": -1},
        {"prompt": "p", "model": "m", "quality": 1, "cost": float("inf")},
        "no row",
    ],
)
def test_a_row_that_is_no_outcome_is_bad(wrong) -> None:
    assert read_outcomes([*OUTCOMES, wrong]).report.n_bad == 1


@pytest.mark.parametrize(("value", "quality"), [(True, 1.0), ("False", 0.0), ("0.25", 0.25)])
def test_quality_may_be_a_truth_or_a_text(value, quality) -> None:
    rows = [{"prompt": "p", "model": "m", "quality": value}]
    assert read_outcomes(rows).quality.tolist() == [[quality]]


def test_repeated_outcomes_are_averaged() -> None:
    rows = [{"prompt": "p", "model": "m", "quality": q, "cost": c} for q, c in [(1, 2), (0, "")]]
    outcomes = read_outcomes(rows)
    assert (outcomes.quality.tolist(), outcomes.cost.tolist()) == ([[0.5]], [[2.0]])


@pytest.mark.parametrize("rows", [[], [{"prompt": "p"}]])
def test_a_source_without_a_usable_row_is_refused(rows) -> None:
    with pytest.raises(DataError, match="no usable row"):
        read_battles(rows)


@pytest.mark.parametrize("name", ["missing.jsonl", "no such thing", "battles.xlsx"])
def test_a_source_that_is_not_there_or_not_read_is_refused(tmp_path, name) -> None:
    (tmp_path / "battles.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError):
        read_battles(tmp_path / name)


def test_a_damaged_parquet_file_is_refused(tmp_path) -> None:
    path = tmp_path / "battles.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match="not readable Parquet"):
        read_battles(path)


def test_a_prompt_longer_than_the_csv_module_allows_is_read(tmp_path) -> None:
    limit = csv.field_size_limit()
    row = {**BATTLES[0], "prompt": "x" * (limit + 1)}
    assert len(read_battles(written([row], tmp_path / "b.csv")).prompts[0]) == limit + 1
    assert csv.field_size_limit() == limit


def test_the_outcomes_of_a_pair_are_those_of_prompts_that_both_answered() -> None:
    pair = read_outcomes(OUTCOMES).of_pair(PAIR)
    assert pair.prompts == ("a",)
    assert pair.models == ("big", "small")
    assert pair.quality.tolist() == [[1.0, 0.0]]


def test_the_battles_of_a_pair_are_averaged_by_prompt_in_either_order() -> None:
    rows = [
        {"prompt": "p", "model_a": "big", "model_b": "small", "winner": "model_a"},
        {"prompt": "p", "model_a": "small", "model_b": "big", "winner": "tie"},
        {"prompt": "q", "model_a": "big", "model_b": "other", "winner": "model_a"},
    ]
    pair = read_battles(rows).of_pair(PAIR)
    assert pair.prompts == ("p",)
    assert pair.quality.tolist() == [[0.75, 0.25]]


def test_a_model_that_is_not_in_the_data_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean 'small'"):
        read_outcomes(OUTCOMES).of_pair(ModelPair(strong="big", weak="smal"))


def test_a_selection_keeps_rows_together() -> None:
    assert read_outcomes(OUTCOMES).select([1]).quality[0, 0] == 0.5
    chosen = read_battles(BATTLES).select(np.array([False, True, True]))
    assert chosen.prompts == (BATTLES[1]["prompt"], BATTLES[2]["prompt"])
    assert chosen.positions.tolist() == [1, 2]


def test_several_rows_of_one_answer_count_by_their_weight() -> None:
    rows = [
        {"prompt": "p", "model": "m", "quality": 1, "weight": 3},
        {"prompt": "p", "model": "m", "quality": 0},
        {"prompt": "q", "model": "m", "quality": 1, "weight": 0},
        {"prompt": "r", "model": "m", "quality": 1, "weight": ""},
    ]
    outcomes = read_outcomes(rows)
    assert outcomes.prompts == ("p", "r")
    assert outcomes.quality.tolist() == [[0.75], [1.0]]
    assert "above 0" in str(outcomes.report)
