"""Benchmarks are read as published, and damaged ones are refused."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from routellm_core import ConfigurationError, ModelPair, UnknownModelError
from routellm_core.answers import bert_sim
from routellm_core.errors import DataError
from routellm_core.evaluation import Benchmark, LoadedBenchmark, benchmark_names, load_benchmark
from routellm_core.evaluation.benchmarks.answer_tables import AnswerTable

STRONG, WEAK = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"


def write_jsonl(path: Path, rows: list[dict]) -> None:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def mmlu(folder: Path) -> Path:
    responses = folder / "responses"
    responses.mkdir(parents=True)
    head = f"prompt,{WEAK},{STRONG}\n"
    (responses / "mmlu_anatomy.csv").write_text(
        head + '"Which bone, ""the long one""?\nA. x\nAnswer:",True,False\nLeaked?,True,True\n'
    )
    (responses / "mmlu_high_school_mathematics.csv").write_text(head + "1 + 1?,False,True\n")
    write_jsonl(folder / "contaminated_prompts.jsonl", [{"eval_prompt": "Leaked?"}])
    return folder


def test_mmlu_joins_its_domains_and_leaves_out_contaminated_prompts(tmp_path: Path) -> None:
    loaded = load_benchmark("mmlu", mmlu(tmp_path))
    assert loaded.prompts == ('Which bone, "the long one"?\nA. x\nAnswer:', "1 + 1?")
    assert loaded.domains == ("anatomy", "high_school_mathematics")
    assert loaded.weak.tolist() == [1.0, 0.0]
    assert loaded.strong.tolist() == [0.0, 1.0]
    assert (loaded.n_removed, loaded.pair) == (1, ModelPair(strong=STRONG, weak=WEAK))
    assert list(loaded.faults) == ["high_school_mathematics"]


def test_mmlu_without_a_model_s_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="'gpt-9'"):
        load_benchmark("mmlu", mmlu(tmp_path), pair=ModelPair(strong="gpt-9", weak=WEAK))


def test_gsm8k_reads_correctness_beside_long_answers(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_responses.csv").write_text(
        f"prompt,{WEAK},{STRONG},{WEAK}_response,{STRONG}_response\n"
        'How many?,False,True,"five\n#### 5","four, of course"\n'
    )
    loaded = load_benchmark("gsm8k", tmp_path)
    assert (loaded.weak.tolist(), loaded.strong.tolist(), loaded.n_removed) == ([0.0], [1.0], 0)


def mt_bench(folder: Path) -> Path:
    questions = [
        {"question_id": 1, "category": "writing", "turns": ["Write.", "Again."]},
        {"question_id": 2, "category": "math", "turns": ["Add.", "Leaked second turn."]},
    ]
    scores = {STRONG: (9, 8.5), WEAK: (7, 6)}
    judgements = [
        {"question_id": question, "model": model, "turn": turn + 1, "score": score}
        for question in (1, 2)
        for model, both in scores.items()
        for turn, score in enumerate(both)
    ]
    write_jsonl(folder / "question.jsonl", questions)
    write_jsonl(folder / "judgements.jsonl", judgements)
    write_jsonl(folder / "contaminated_prompts.jsonl", [{"eval_prompt": "Leaked second turn."}])
    return folder


def test_mt_bench_routes_the_first_turn_and_averages_both(tmp_path: Path) -> None:
    loaded = load_benchmark("mt_bench", mt_bench(tmp_path))
    assert loaded.prompts == ("Write.",)
    assert (loaded.strong.tolist(), loaded.weak.tolist()) == ([8.75], [6.5])
    assert (loaded.domains, loaded.quality_range, loaded.n_removed) == (("writing",), (1, 10), 1)


def test_a_question_that_was_not_judged_is_refused(tmp_path: Path) -> None:
    mt_bench(tmp_path)
    rows = (tmp_path / "judgements.jsonl").read_text().splitlines()
    (tmp_path / "judgements.jsonl").write_text("\n".join(rows[:2]))
    with pytest.raises(UnknownModelError, match="no judgements"):
        load_benchmark("mt_bench", tmp_path)


def test_routerbench_reads_quality_and_dollars_of_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        "sample_id,prompt,eval_name,a,b,a|total_cost,b|total_cost,a|model_response\n"
        "1,\"['First part.', 'Second part.']\",arc,1.0,0.25,0.002,0.0001,x\n"
        "2,[not a list,grade,0.5,0.5,0.001,0.0002,y\n"
    )
    loaded = load_benchmark("routerbench", path, pair=ModelPair(strong="a", weak="b"))
    assert loaded.prompts == ("First part.\nSecond part.", "[not a list")
    assert (loaded.strong.tolist(), loaded.weak.tolist()) == ([1.0, 0.5], [0.25, 0.5])
    assert loaded.strong_cost is not None
    assert loaded.strong_cost.tolist() == [0.002, 0.001]
    assert loaded.domains == ("arc", "grade")
    with pytest.raises(UnknownModelError, match="no column 'c'"):
        load_benchmark("routerbench", path, pair=ModelPair(strong="c", weak="b"))
    with pytest.raises(ConfigurationError, match="needs a strong and a weak"):
        load_benchmark("routerbench", path)


OUTCOMES = [
    {"prompt": "p", "model": "good", "quality": 1, "cost": 0.5, "domain": "law"},
    {"prompt": "p", "model": "poor", "quality": 0.5, "cost": 0.1, "domain": "law"},
    {"prompt": "q", "model": "good", "quality": 1, "cost": 0.5},
    {"prompt": "q", "model": "poor", "quality": 0, "cost": 0.1},
    {"prompt": "only one answer", "model": "good", "quality": 1, "cost": 0.5},
]


def test_an_own_table_takes_the_better_of_two_models_as_the_strong_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, OUTCOMES)
    loaded = load_benchmark("outcomes", path)
    assert (loaded.name, loaded.pair) == ("mine", ModelPair(strong="good", weak="poor"))
    assert loaded.prompts == ("p", "q")
    assert loaded.weak.tolist() == [0.5, 0.0]
    assert loaded.domains == ("law", "all")
    assert loaded.weak_cost is not None
    assert loaded.weak_cost.tolist() == [0.1, 0.1]


def test_an_own_table_leaves_out_prompts_listed_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, OUTCOMES)
    write_jsonl(tmp_path / "mine.jsonl.contaminated.jsonl", [{"eval_prompt": "p"}])
    loaded = load_benchmark("outcomes", path)
    assert (loaded.prompts, loaded.n_removed) == (("q",), 1)


def test_a_table_of_three_models_needs_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [*OUTCOMES, {"prompt": "p", "model": "third", "quality": 1}])
    with pytest.raises(ConfigurationError, match="3 models"):
        load_benchmark("outcomes", path)
    loaded = load_benchmark("outcomes", path, pair=ModelPair(strong="third", weak="poor"))
    assert loaded.prompts == ("p",)
    assert loaded.weak_cost is None


def answer_rows() -> list[dict[str, object]]:
    known = "The river Rhine flows through Cologne."
    said = {
        "big": ("The river Rhine flows through Cologne.", "It flows into the North Sea."),
        "small": ("Share prices fell on Monday.", ""),
    }
    return [
        {"prompt": f"q{i}", "model": model, "answer": text, "reference": known, "domain": "d"}
        for model, texts in said.items()
        for i, text in enumerate(texts)
    ]


def test_answers_that_nobody_judged_are_as_good_as_they_are_similar(tmp_path: Path) -> None:
    rows = answer_rows()
    write_jsonl(tmp_path / "answers.jsonl", rows)
    loaded = load_benchmark("answers", tmp_path / "answers.jsonl")
    assert (loaded.pair.strong, loaded.pair.weak) == ("big", "small")
    assert (loaded.prompts, loaded.domains) == (("q0", "q1"), ("d", "d"))
    expected = max(0.0, bert_sim([rows[2]["answer"]], [rows[2]["reference"]])[0])
    assert loaded.strong[0] == pytest.approx(1.0, abs=1e-6)
    assert loaded.weak.tolist() == [pytest.approx(expected), 0.0]  # an empty answer is worth 0
    assert loaded.strong[1] < 1.0


def test_another_similarity_may_measure_and_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    write_jsonl(path, answer_rows())
    loaded = AnswerTable(lambda said, known: [0.5, 0.75, -0.25]).load(path)
    assert (loaded.strong.tolist(), loaded.weak.tolist()) == ([0.5, 0.75], [0.0, 0.0])
    with pytest.raises(ConfigurationError, match="must return 3 finite numbers"):
        AnswerTable(lambda said, known: [0.5]).load(path)
    write_jsonl(path, [{"prompt": "q", "model": "m", "answer": "a"}])
    with pytest.raises(DataError, match="`reference` must be a text, got nothing"):
        load_benchmark("answers", path)


def test_unknown_and_missing_benchmarks_are_refused(tmp_path: Path) -> None:
    names = ["answers", "gsm8k", "mmlu", "mt_bench", "outcomes", "routerbench", "routes"]
    assert benchmark_names() == names
    with pytest.raises(ConfigurationError, match="Did you mean 'mmlu'"):
        load_benchmark("mmlo", tmp_path)
    with pytest.raises(DataError, match="holds no mmlu_"):
        load_benchmark("mmlu", tmp_path)
    with pytest.raises(DataError):
        load_benchmark("gsm8k", tmp_path)


def test_a_damaged_row_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_responses.csv").write_text(f"prompt,{WEAK},{STRONG}\nWhat?,maybe,True\n")
    with pytest.raises(DataError, match=r"line 2.*'maybe'"):
        load_benchmark("gsm8k", tmp_path)


def test_the_checksum_depends_on_every_prompt_and_outcome(small: LoadedBenchmark) -> None:
    from dataclasses import replace

    changed = [
        replace(small, prompts=("other", *small.prompts[1:])),
        replace(small, weak=1.0 - small.weak),
        replace(small, strong=np.zeros(len(small))),
    ]
    checksums = {small.checksum(), *(other.checksum() for other in changed)}
    assert len(checksums) == 4
    assert replace(small, name="renamed").checksum() == small.checksum()


def test_outcomes_outside_their_range_are_refused(small: LoadedBenchmark) -> None:
    from dataclasses import replace

    with pytest.raises(ConfigurationError, match="must lie in"):
        replace(small, weak=small.weak * 2)
    with pytest.raises(ConfigurationError, match="both models, or of neither"):
        replace(small, weak_cost=small.weak)


def test_route_labels_are_a_benchmark_of_who_needs_the_strong_model(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    rows = [
        {"prompt": "Prove it.", "label": "ROUTE_TO_SUPERIOR", "category": "maths"},
        {"prompt": "Hello!", "label": "ROUTE_TO_INFERIOR"},
    ]
    write_jsonl(path, rows)
    loaded = load_benchmark("routes", path)
    assert (loaded.name, loaded.prompts) == ("test", ("Prove it.", "Hello!"))
    assert (loaded.weak.tolist(), loaded.strong.tolist()) == ([0.0, 1.0], [1.0, 1.0])
    assert loaded.domains == ("maths", "all")
    named = ModelPair(strong="big", weak="small")
    assert load_benchmark("routes", path, pair=named).pair == named
    write_jsonl(path, [*rows, {"prompt": "Hi", "label": "strong"}])
    with pytest.raises(DataError, match=r"line 3: `label` must be ROUTE_TO_SUPERIOR or .*'strong'"):
        load_benchmark("routes", path)
    path.write_text("")
    with pytest.raises(DataError, match="is empty"):
        load_benchmark("routes", path)


class Invented(Benchmark):
    """A benchmark of two prompts, from nowhere."""

    name = "invented"

    def load(self, path, *, pair=None) -> LoadedBenchmark:
        return LoadedBenchmark(
            name=self.name,
            pair=ModelPair(strong="a", weak="b"),
            prompts=("p", "q"),
            weak=np.zeros(2),
            strong=np.ones(2),
            domains=("x", "x"),
        )


def test_a_package_registers_a_benchmark_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    points = [
        metadata.EntryPoint("invented", f"{__name__}:Invented", "routellm.benchmarks"),
        metadata.EntryPoint("broken", "json:loads", "routellm.benchmarks"),
        metadata.EntryPoint("mmlu", "json:loads", "routellm.benchmarks"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    assert "invented" in benchmark_names()
    assert len(load_benchmark("invented", "nowhere")) == 2
    with pytest.raises(ConfigurationError, match="not a `Benchmark`"):
        load_benchmark("broken", "x")
    # A built-in name cannot be taken over.
    with pytest.raises(DataError):
        load_benchmark("mmlu", "x")


def _this_module() -> ModuleType:
    module = ModuleType(__name__)
    module.Invented = Invented  # type: ignore[attr-defined]
    return module
