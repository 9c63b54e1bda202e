"""Every file that people bring is read, or refused with what to do."""

import bz2
import csv
import gzip
import io
import json
import lzma

import numpy as np
import pytest

from routellm_core import DataError, ModelPair, UnknownModelError
from routellm_core.data import read_battles, read_outcomes
from routellm_core.data.rows import numbered_rows
from routellm_core.evaluation.logged_calls import read_logged_calls

ROWS = [
    {"prompt": "Wie heißt „Äpfel“ auf Englisch?", "model": "big", "quality": 1.0},
    {"prompt": "Wie heißt „Äpfel“ auf Englisch?", "model": "small", "quality": 0.5},
    {"prompt": "Hi", "model": "big", "quality": 0.25},
]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
PRETTY = json.dumps(ROWS, indent=2, ensure_ascii=False)


def csv_text(rows, *, delimiter=",", lineterminator="\n"):
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=lineterminator)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


NAMES = list(ROWS[0])
BY_COLUMN = {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in NAMES}
# What `DataFrame.to_json` writes with each `orient`, and `DataFrame.to_dict` with "list".
TABLES = {
    "columns": BY_COLUMN,
    "list": {name: [row[name] for row in ROWS] for name in NAMES},
    "index": {str(i): row for i, row in enumerate(ROWS)},
    "split": {
        "columns": NAMES,
        "index": [0, 1, 2],
        "data": [[row[name] for name in NAMES] for row in ROWS],
    },
    "table": {"schema": {"fields": []}, "data": [{"index": 0, **row} for row in ROWS]},
}

READABLE = {
    "outcomes.jsonl.gz": gzip.compress(LINES.encode()),
    "outcomes.csv.gz": gzip.compress(csv_text(ROWS).encode()),
    "outcomes.json.gz": gzip.compress(PRETTY.encode()),
    "outcomes.jsonl.bz2": bz2.compress(LINES.encode()),
    "outcomes.jsonl.xz": lzma.compress(LINES.encode()),
    "compressed-in-two-parts.jsonl.gz": b"".join(
        gzip.compress(line.encode() + b"\n") for line in LINES.splitlines()
    ),
    "compressed-without-saying-so.jsonl": gzip.compress(LINES.encode()),
    "UPPER.JSONL": LINES.encode(),
    "pretty-array.json": PRETTY.encode(),
    "pretty-array.jsonl": PRETTY.encode(),
    "pretty-objects.jsonl": "\n".join(
        json.dumps(row, indent=4, ensure_ascii=False) for row in ROWS
    ).encode(),
    "array-on-one-line.jsonl": json.dumps(ROWS).encode(),
    "lines-called-json.json": LINES.encode(),
    "utf-8-mark.jsonl": LINES.encode("utf-8-sig"),
    "utf-16.jsonl": LINES.encode("utf-16"),
    "utf-16-be.jsonl": b"\xfe\xff" + LINES.encode("utf-16-be"),
    "utf-16.csv": csv_text(ROWS).encode("utf-16"),
    "utf-16-pretty.json": PRETTY.encode("utf-16"),
    "utf-32.jsonl": LINES.encode("utf-32"),
    "windows.jsonl": LINES.replace("\n", "\r\n").encode(),
    "old-mac.jsonl": LINES.replace("\n", "\r").encode(),
    "old-mac.csv": csv_text(ROWS, lineterminator="\r").encode(),
    "excel.csv": csv_text(ROWS, delimiter=";", lineterminator="\r\n").encode("utf-8-sig"),
    "tabs.tsv": csv_text(ROWS, delimiter="\t").encode(),
    **{f"{name}.json": json.dumps(table).encode() for name, table in TABLES.items()},
    **{
        f"{name}-pretty.json": json.dumps(table, indent=2).encode()
        for name, table in TABLES.items()
    },
    "columns.jsonl.gz": gzip.compress(json.dumps(BY_COLUMN).encode() + b"\n\n"),
    "filtered.json": json.dumps(
        {n: {f"-1{k}": v for k, v in c.items()} for n, c in BY_COLUMN.items()}
    ).encode(),
    "utf-16-columns.json": json.dumps(BY_COLUMN, ensure_ascii=False).encode("utf-16"),
}


@pytest.mark.parametrize("name", READABLE)
def test_the_same_rows_in_any_packing_are_the_same_outcomes(name, tmp_path) -> None:
    (tmp_path / name).write_bytes(READABLE[name])
    outcomes = read_outcomes(tmp_path / name)
    assert outcomes.prompts == (ROWS[0]["prompt"], "Hi")
    np.testing.assert_array_equal(outcomes.quality, [[1.0, 0.5], [0.25, np.nan]])
    assert outcomes.report.n_bad == 0


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("cut.jsonl.gz", gzip.compress(LINES.encode())[:-12], "is damaged"),
        ("no.jsonl.gz", b"\x1f\x8b no gzip", "is damaged"),
        ("sheet.csv", b"PK\x03\x04 a workbook", "export it as CSV"),
        ("packed.jsonl", b"\x28\xb5\x2f\xfd zstandard", "unzstd"),
        ("named.jsonl", b"PAR1 and so on", "end in .parquet"),
        ("table.json", b"\x80\x04\x95 a pickle", "write it as JSON lines"),
        ("no-mark.jsonl", LINES.encode("utf-16-le"), "without a byte order mark"),
        ("cut.jsonl", LINES.encode("utf-16")[:-1], "is damaged"),
        ("cut.json", PRETTY[:-2].encode(), "not valid JSON"),
        ("unknown.xlsx", b"rows", r"must end in one of .*\.csv"),
        ("empty.jsonl", b"", "It is empty"),
        ("blank.csv", b"\n\n", "It is empty"),
    ],
)
def test_a_file_that_is_not_text_is_refused_with_what_to_do(name, data, message, tmp_path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_outcomes(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_row_in_latin_1_is_left_out_with_its_byte_and_the_way_to_utf_8(suffix, tmp_path) -> None:
    text = LINES if suffix == ".jsonl" else csv_text(ROWS)
    path = tmp_path / f"latin{suffix}"
    path.write_bytes(text.replace("„", "'").replace("“", "'").encode("latin-1"))
    outcomes = read_outcomes(path)
    assert outcomes.prompts == ("Hi",)
    [bad] = outcomes.report.shown
    assert bad.n == 2
    assert "byte 0xdf in column" in bad.reason
    assert "iconv -f LATIN1 -t UTF-8" in bad.reason


def test_rows_of_a_pretty_printed_file_are_named_by_their_lines(tmp_path) -> None:
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps([ROWS[2], "no row", {"prompt": "x"}], indent=1))
    assert [rows.lines for rows in read_outcomes(path).report.shown] == [(7,), (8,)]


def test_rows_of_a_table_by_columns_are_counted_from_1(tmp_path) -> None:
    path = tmp_path / "columns.json"
    rows = [*ROWS, {"prompt": "x", "model": "big", "quality": None}, {"prompt": "y"}]
    path.write_text(json.dumps({n: {i: r.get(n) for i, r in enumerate(rows)} for n in NAMES}))
    outcomes = read_outcomes(path)
    assert (outcomes.report.n_rows, outcomes.report.n_bad) == (5, 2)
    assert [line for rows in outcomes.report.shown for line in rows.lines] == [4, 5]


MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES},
        {"conversations": [{"from": "human", "value": "Hi"}]},
        {"messages": MESSAGES, "tools": [{"type": "function"}, {"type": "function"}]},
        {"prompt": [{"type": "text", "text": "Hi"}]},
        {"prompt": ["a", "b"], "label": [1]},
        {"inputs": {"text": "Hi"}, "outputs": {"text": "Hello"}},
        {"inputs": {"0": "Hi"}, "outputs": {"1": "Hello"}},
        {"prompt": ["a"], "label": 1},
        {"columns": ["prompt"], "data": [["a", "b"]], "more": [0, 1]},
        {},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_that_is_one_row_is_no_table(row, indent, tmp_path) -> None:
    path = tmp_path / "row.jsonl"
    path.write_text(json.dumps(row, indent=indent))
    assert list(numbered_rows(path)) == [(1, row)]


def test_lines_that_look_like_tables_are_rows(tmp_path) -> None:
    path = tmp_path / "lists.jsonl"
    row = {"prompt": ["a", "b"], "label": [0, 1]}
    path.write_text("\n".join(["", json.dumps(row), "", json.dumps(row)]))
    assert list(numbered_rows(path)) == [(2, row), (4, row)]


def test_a_table_without_rows_is_empty(tmp_path) -> None:
    path = tmp_path / "none.json"
    path.write_text('{"prompt": {}, "model": {}, "quality": {}}')
    with pytest.raises(DataError, match="It is empty"):
        read_outcomes(path)


def test_json_lines_after_a_broken_first_one_are_still_read(tmp_path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"prompt": "cut off",\n' + LINES)
    assert read_outcomes(path).report.shown[0].lines == (1,)


SAID = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "Second"}]},
        {"role": "assistant", "content": "Done."},
    ],
    "conversations": [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Second"},
        {"from": "gpt", "value": "Done."},
    ],
    "prompt": [{"role": "user", "content": "Second"}],
}


@pytest.mark.parametrize("name", SAID)
def test_the_last_user_message_of_a_conversation_is_the_prompt_everywhere(name) -> None:
    row = {name: SAID[name]}
    assert read_logged_calls([row]).prompts == ("Second",)
    assert read_outcomes([{**row, "model": "m", "quality": 1}]).prompts == ("Second",)
    fight = {**row, "model_a": "x", "model_b": "y", "winner": "tie"}
    assert read_battles([fight]).prompts == ("Second",)


@pytest.mark.parametrize("name", ["messages", "conversations", "prompt"])
def test_a_tables_messages_are_read_out_of_their_text(name, tmp_path) -> None:
    said = SAID.get(name) or SAID["messages"]
    text = json.dumps(said)
    fight = {name: text, "model_a": "x", "model_b": "y", "winner": "tie"}
    (tmp_path / "battles.csv").write_text(csv_text([fight]))
    assert read_battles(tmp_path / "battles.csv").prompts == ("Second",)
    (tmp_path / "outcomes.csv").write_text(csv_text([{name: text, "model": "m", "quality": 1}]))
    assert read_outcomes(tmp_path / "outcomes.csv").prompts == ("Second",)


@pytest.mark.parametrize(
    "text", ['["a", "b"]', '[{"x": 1}]', "[1, 2", "[]", '{"role": "user"}', "[" * 100_000]
)
def test_a_prompt_that_is_other_json_is_meant_as_it_is(text) -> None:
    assert read_outcomes([{"prompt": text, "model": "m", "quality": 1}]).prompts == (text,)


def test_blanks_around_a_models_name_are_not_part_of_it() -> None:
    rows = [{"prompt": "p", "model": name, "quality": 1} for name in (" big ", "big", "small\t")]
    outcomes = read_outcomes(rows)
    assert outcomes.models == ("big", "small")
    assert outcomes.of_pair(ModelPair(strong=" big", weak="small ")).models[0].strip() == "big"
    fights = [{"prompt": "p", "model_a": " x", "model_b": "y ", "winner": "tie"}]
    assert read_battles(fights).models == ("x", "y")


@pytest.mark.parametrize("read", [read_outcomes, read_battles])
def test_two_names_that_differ_in_case_only_are_asked_about(read) -> None:
    rows = [
        {"prompt": "p", "model": m, "quality": 1, "model_a": m, "model_b": "z", "winner": "tie"}
        for m in ("BIG", "big")
    ]
    with pytest.raises(DataError, match="Are 'BIG' and 'big' one model"):
        read(rows)


def test_a_model_asked_for_in_another_case_is_suggested_in_the_datas_own() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean 'big'"):
        read_outcomes(ROWS).of_pair(ModelPair(strong="BIG", weak="small"))


@pytest.mark.parametrize(
    ("grades", "advice"),
    [
        ([1, 4, 5, 3], "from 1 to 5: .*`--scale 1:5`"),
        ([0, 7, 10, 8], "from 0 to 10: .*`--scale 0:10`"),
        ([0, 95, 60, 88], "from 0 to 95: .*`--scale 0:100`"),
        ([2, 700, 60, 88], "from 2 to 700: name the scale, `--scale LOW:HIGH`"),
    ],
)
def test_grades_on_another_scale_are_refused_with_the_scale(grades, advice) -> None:
    rows = [{"prompt": f"p{i}", "model": "m", "quality": g} for i, g in enumerate(grades * 5)]
    with pytest.raises(DataError, match=advice):
        read_outcomes(rows)


def test_a_quality_that_is_not_known_is_told_apart_from_one_out_of_range() -> None:
    report = read_outcomes([*ROWS, {**ROWS[0], "quality": float("nan")}]).report
    assert report.shown[0].reason == "`quality` must be a number, got nan: leave the row out."


def test_answers_with_several_qualities_are_averaged_and_told() -> None:
    rows = [{"prompt": "p", "model": "m", "quality": quality} for quality in (0, 1, 1)]
    assert "1 answers were given different qualities" in str(read_outcomes(rows).report)
    assert str(read_outcomes(rows[1:]).report) == ""


def test_csv_is_read_without_keeping_the_rows_before(tmp_path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("prompt\n" + "x\n" * 2_000 + "y" * 200_000 + "\n")
    limit = csv.field_size_limit()
    rows = numbered_rows(path)
    assert next(rows) == (2, {"prompt": "x"})
    assert csv.field_size_limit() == limit
    assert sum(1 for _ in rows) == 2_000
