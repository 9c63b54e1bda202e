"""Changes of a prompt's words, and how far they move a router."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routellm_core import load_router
from routellm_core.errors import DataError
from routellm_core.evaluation import (
    Candidate,
    ChangedPrompts,
    LoadedBenchmark,
    changed_prompts,
    evaluate,
    read_changed_prompts,
    read_results,
    robustness,
    verify,
    write_results,
)
from routellm_core.evaluation.report import render_page
from routellm_core.testing import ScriptedRouter

PROMPTS = ["What is the capital of Peru?", "Докажите теорему Бэра.", "证明贝尔纲定理。", "2+2"]


def test_changes_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    assert changed_prompts(PROMPTS, seed=3) == changed_prompts(PROMPTS, seed=3)
    assert changed_prompts(PROMPTS, seed=3) != changed_prompts(PROMPTS, seed=4)
    alone = changed_prompts(PROMPTS[1:2], seed=3)[0]
    together = changed_prompts(PROMPTS, seed=3)[0]
    assert alone.after[0] == together.after[together.before.index(PROMPTS[1])]


def test_each_change_changes_what_it_says_and_little_else() -> None:
    typos, case, politeness = changed_prompts(PROMPTS)
    for before, after in zip(typos.before, typos.after, strict=True):
        assert before != after
        assert abs(len(before) - len(after)) <= 1
    # Neither Chinese nor digits have capitals.
    assert case.before == tuple(PROMPTS[:2])
    assert [text.lower() for text in case.after] == [text.lower() for text in PROMPTS[:2]]
    assert politeness.before == tuple(PROMPTS)
    assert all(b in a and len(a) > len(b) for b, a in zip(PROMPTS, politeness.after, strict=True))


def test_courtesy_is_said_in_the_prompts_script() -> None:
    _, _, politeness = changed_prompts(["Докажите теорему.", "定理を証明せよ", "정리를 증명하시오"])
    for text, low, high in zip(politeness.after, "аぁ가", "яヿ힣", strict=True):
        added = [c for c in text if c.isalpha()]
        assert sum(low <= c <= high for c in added) > len(added) / 3
    assert not any("a" <= c.lower() <= "z" for text in politeness.after for c in text)


def test_of_many_prompts_a_sample_is_changed() -> None:
    prompts = [f"What is the square of number {number}?" for number in range(1200)]
    assert all(len(changed.before) == 1000 for changed in changed_prompts(prompts))


def test_ranks_and_flips_are_taken_among_the_benchmarks_win_rates() -> None:
    benchmark = np.arange(10) / 10
    before, after = np.array([0.0, 0.15, 0.65, 0.9]), np.array([0.0, 0.25, 0.75, 0.4])
    found = robustness("typos", before, after, benchmark=benchmark)
    # Ranks: 0.05 twice; 0.2 and 0.3; 0.7 and 0.8; 0.95 and 0.45. The highest 30 % begin at 0.7.
    assert found.rank_change == pytest.approx((0.0 + 0.1 + 0.1 + 0.5) / 4)
    assert found.flips == pytest.approx(2 / 4)


def test_a_scale_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    before, after, benchmark = rng.random(50), rng.random(50), rng.random(200)
    plain = robustness("case", before, after, benchmark=benchmark)
    scaled = robustness("case", before**3, after**3, benchmark=benchmark**3)
    assert (plain.rank_change, plain.flips) == (scaled.rank_change, scaled.flips)
    assert plain.rank_change == pytest.approx(1 / 3, abs=0.08)


def test_results_hold_robustness_and_it_can_be_computed_again(
    small: LoadedBenchmark, tmp_path: Path
) -> None:
    mine = ChangedPrompts("paraphrase", ("p1", "p2"), ("q1", "q2"))
    candidates = [Candidate("random", load_router("random"))]
    results = evaluate(candidates, [small], rounds=2, change_prompts=True, changed=[mine])
    rows = results.benchmarks[0].routers[0].robustness
    assert {row.change for row in rows} >= {"politeness", "paraphrase"}
    page = render_page(results)
    assert "<h3>Robustness</h3>" in page
    assert "paraphrase" in page
    stored = read_results(write_results(results, tmp_path / "results.json"))
    assert not verify(stored).mismatches
    router = stored.benchmarks[0].routers[0]
    forged = replace(router.robustness[0], flips=0.123)
    bad = replace(
        stored,
        benchmarks=(
            replace(stored.benchmarks[0], routers=(replace(router, robustness=(forged,)),)),
        ),
    )
    assert [m.where.rpartition(" / ")[2] for m in verify(bad).mismatches] == ["flips"]


def test_a_router_that_reads_no_words_is_not_moved_and_nothing_is_shown_unasked(
    small: LoadedBenchmark,
) -> None:
    candidates = [Candidate("flat", ScriptedRouter(default=0.5))]
    rows = (
        evaluate(candidates, [small], rounds=2, change_prompts=True)
        .benchmarks[0]
        .routers[0]
        .robustness
    )
    assert rows
    assert all((row.rank_change, row.flips) == (0.0, 0.0) for row in rows)
    plain = evaluate(candidates, [small], rounds=2)
    assert plain.benchmarks[0].routers[0].robustness == ()
    assert "Robustness" not in render_page(plain)


def test_pairs_of_ones_own_are_read_by_their_change(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [("a", "b", "paraphrase"), ("c", "d", "translation"), ("e", "f", "paraphrase")]
    lines = [json.dumps({"prompt": p, "changed": c, "change": k}) for p, c, k in rows]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    assert read_changed_prompts(path) == (
        ChangedPrompts("paraphrase", ("a", "e"), ("b", "f")),
        ChangedPrompts("translation", ("c",), ("d",)),
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"prompt": "a", "changed": "b"}', '{"prompt": 1, "changed": "b"}']
)
def test_a_file_without_pairs_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs\.jsonl"):
        read_changed_prompts(path)
