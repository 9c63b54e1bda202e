"""An evaluation: cached scores, figures that can be computed again, and the page."""

import json
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from routellm_core import ConfigurationError, load_router
from routellm_core.errors import DataError
from routellm_core.evaluation import (
    Candidate,
    LoadedBenchmark,
    ScoreCache,
    compare,
    evaluate,
    read_results,
    verify,
    write_results,
)
from routellm_core.evaluation.measure import baselines, halves, measure
from routellm_core.evaluation.metrics import apgr
from routellm_core.evaluation.report import render_page
from routellm_core.evaluation.score_cache import router_checksum, score
from routellm_core.routers.random import RandomRouter
from routellm_core.testing import ScriptedRouter


class Counted(RandomRouter):
    """A random router that counts what it is asked, and may fail."""

    def __init__(self, *, seed: int = 0, fail_after: int | None = None) -> None:
        super().__init__(seed=seed)
        self.asked = 0
        self.fail_after = fail_after

    def _win_rates(self, prompts: Sequence[str]) -> np.ndarray:
        if self.fail_after is not None and self.asked >= self.fail_after:
            raise RuntimeError("power cut")
        self.asked += len(prompts)
        return super()._win_rates(prompts)


# Scores


def test_scores_are_computed_once(tmp_path: Path, small: LoadedBenchmark) -> None:
    cache, router = ScoreCache(tmp_path), Counted()
    checksum = router_checksum(router)
    first = score(router, small.prompts, checksum=checksum, cache=cache)
    second = score(router, small.prompts, checksum=checksum, cache=cache)
    assert second.win_rates.tolist() == first.win_rates.tolist()
    assert (router.asked, first.n_cached, second.n_cached) == (200, 0, 200)


def test_another_checkpoint_or_another_prompt_is_scored_anew(
    tmp_path: Path, small: LoadedBenchmark
) -> None:
    cache = ScoreCache(tmp_path)
    for router, prompts in (
        (Counted(), small.prompts),
        (Counted(seed=1), small.prompts),
        (Counted(), small.prompts[:-1]),
    ):
        score(router, prompts, checksum=router_checksum(router), cache=cache)
        assert router.asked == len(prompts)


def test_an_interrupted_run_resumes_where_it_stopped(tmp_path: Path) -> None:
    prompts = [f"prompt {index}" for index in range(1000)]
    cache, broken = ScoreCache(tmp_path), Counted(fail_after=512)
    with pytest.raises(RuntimeError, match="power cut"):
        score(broken, prompts, checksum="same", cache=cache)
    healthy = Counted()
    resumed = score(healthy, prompts, checksum="same", cache=cache)
    assert (resumed.n_cached, healthy.asked) == (512, 488)
    assert resumed.win_rates.tolist() == RandomRouter().win_rates(prompts).tolist()


def test_overwriting_a_router_s_cache_scores_it_again(
    tmp_path: Path, small: LoadedBenchmark
) -> None:
    router = Counted()
    score(router, small.prompts, checksum="c", cache=ScoreCache(tmp_path))
    for overwrite, asked in ((["other"], 200), (["random"], 400)):
        cache = ScoreCache(tmp_path, overwrite=overwrite)
        score(router, small.prompts, checksum="c", cache=cache)
        assert router.asked == asked


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x93NUMPY"])
def test_a_damaged_cache_file_is_scored_again(
    tmp_path: Path, small: LoadedBenchmark, damage: bytes
) -> None:
    cache, router = ScoreCache(tmp_path), Counted()
    score(router, small.prompts, checksum="c", cache=cache)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert score(router, small.prompts, checksum="c", cache=cache).n_cached == 0
    np.save(path, np.full(200, 7.0))
    assert score(router, small.prompts, checksum="c", cache=cache).n_cached == 0


def test_a_router_that_cannot_be_saved_is_never_cached(tmp_path: Path) -> None:
    router = ScriptedRouter()
    assert router_checksum(router) is None
    score(router, ["a", "b"], checksum=None, cache=ScoreCache(tmp_path / "unused"))
    score(router, ["a", "b"], checksum=None, cache=ScoreCache(tmp_path / "unused"))
    assert len(router.prompts) == 4
    assert not (tmp_path / "unused").exists()


def test_progress_ends_at_all_prompts(small: LoadedBenchmark) -> None:
    seen: list[int] = []
    score(Counted(), small.prompts * 3, on_progress=seen.append)
    assert seen == [256, 512, 600, 600]


# Figures


def good_scores(small: LoadedBenchmark) -> np.ndarray:
    n = len(small)
    return 0.2 + 0.6 * np.arange(n) / n


def test_a_measurement_holds_what_the_metrics_say(small: LoadedBenchmark) -> None:
    scores = good_scores(small)
    found = measure(scores, small, rounds=100)
    assert found.apgr.value == apgr(scores, weak=small.weak, strong=small.strong)
    assert found.apgr.low is not None
    assert found.apgr.high is not None
    assert found.apgr.low < found.apgr.value < found.apgr.high
    assert sum(found.histogram.counts) == len(small)
    assert (found.histogram.low, found.histogram.high) == (scores.min(), scores.max())
    assert found.curve.shares[0] == 0.0
    assert found.curve.shares[-1] == 1.0
    assert [row.n for row in found.slices] == [100, 100]
    assert [row.fault for row in found.slices] == ["", "made up"]
    assert found.aiq is not None
    assert found.aiq_zero is not None
    assert found.aiq > found.aiq_zero


def test_calibrated_shares_are_read_off_held_out_prompts(make_benchmark) -> None:
    benchmark = make_benchmark(6000)
    points = measure(good_scores(benchmark), benchmark, rounds=10).shares
    for point in points:
        assert abs(point.achieved - point.asked) < 0.03
        assert point.low < point.asked < point.high


def test_without_a_gap_the_figures_of_a_gap_are_missing(small: LoadedBenchmark) -> None:
    same = replace(small, strong=small.weak)
    found = measure(good_scores(small), same, rounds=10)
    assert found.apgr.value is None
    assert found.apgr_grid_10 is None
    assert found.auroc is None
    assert all(estimate.value is None for estimate in found.cpt)
    assert [row.apgr for row in baselines(same)] == [None] * 5


def test_every_table_starts_with_what_needs_no_router(small: LoadedBenchmark) -> None:
    rows = {row.name: row for row in baselines(small.with_call_costs(weak=1.0, strong=9.0))}
    assert rows["all weak"].quality == small.weak.mean()
    assert rows["all strong"].cost_usd == 9.0
    assert rows["random, expected"].apgr == 0.5
    lengths = [len(prompt) for prompt in small.prompts]
    assert rows["prompt length"].apgr == apgr(lengths, weak=small.weak, strong=small.strong)
    oracle = rows["oracle"]
    assert oracle.quality == np.maximum(small.weak, small.strong).mean()
    assert oracle.strong_share == (small.strong > small.weak).mean()
    assert oracle.cost_usd == pytest.approx(1.0 + 8.0 * oracle.strong_share)
    assert oracle.apgr is not None
    assert oracle.apgr > 0.9


def test_a_benchmark_of_one_prompt_can_be_measured(make_benchmark) -> None:
    one = make_benchmark(1)
    assert measure(np.array([0.5]), one, rounds=5).shares[-1].achieved == 1.0


# Results


@pytest.fixture
def candidates() -> list[Candidate]:
    return [
        Candidate("random", load_router("random")),
        Candidate("seed 1", load_router("random", seed=1)),
    ]


def test_results_survive_the_file_and_every_figure_is_computed_again(
    make_benchmark, tmp_path: Path, small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    dollars = make_benchmark(60, name="dollars").with_call_costs(weak=0.1, strong=2.0)
    results = evaluate(candidates, [small, dollars], rounds=50, seed=3, command="test")
    read = read_results(write_results(results, tmp_path / "deep" / "results.json"))
    assert read == results
    verification = verify(read)
    assert verification.mismatches == ()
    assert verification.n_figures > 1000


def test_a_figure_that_was_touched_is_found(
    tmp_path: Path, small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    path = write_results(evaluate(candidates, [small], rounds=20), tmp_path / "r.json")
    content = json.loads(path.read_text())
    content["benchmarks"][0]["routers"][1]["measurement"]["apgr"]["value"] += 0.01
    content["benchmarks"][0]["baselines"][0]["quality"] = 0.5
    path.write_text(json.dumps(content))
    found = [mismatch.where for mismatch in verify(read_results(path)).mismatches]
    assert found == ["small / baselines / 0 / quality", "small / seed 1 / apgr / value"]


def test_a_score_that_was_touched_changes_figures(
    tmp_path: Path, small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    results = evaluate(candidates, [small], rounds=20)
    router = results.benchmarks[0].routers[0]
    forged = replace(router, scores=(0.999, *router.scores[1:]))
    stored = replace(results.benchmarks[0], routers=(forged,))
    assert verify(replace(results, benchmarks=(stored,))).mismatches


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "It is not valid JSON: EOF"),
        ("{}", "is missing."),
        ("[1]", "It must be a mapping, got a list."),
        ('{"format_version": 1}', "is missing."),
        ('{"format_version": "x"}', "`format_version` must be a whole number, got 'x'."),
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(DataError, match="holds no results") as caught:
        read_results(path)
    assert told in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_results(tmp_path / "absent.json")


def test_an_evaluation_needs_routers_with_different_names(
    small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    for routers, benchmarks in (([], [small]), (candidates, []), (candidates * 2, [small])):
        with pytest.raises(ConfigurationError, match="different labels"):
            evaluate(routers, benchmarks)


def test_training_prompts_in_a_benchmark_are_reported(
    small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    training = [small.prompts[3].upper(), "Something else entirely, and at some length."]
    results = evaluate(candidates, [small], rounds=5, training_prompts=training)
    overlap = results.benchmarks[0].overlap
    assert overlap is not None
    assert (overlap.n_train, overlap.n_exact) == (2, 1)
    assert "Question 3 of small?" in overlap.shown[0]


# Comparison


def test_a_better_router_is_told_from_a_random_one(small: LoadedBenchmark) -> None:
    random = load_router("random").win_rates(small.prompts)
    found = compare(good_scores(small), random, small, rounds=400)
    by_name = {difference.figure: difference for difference in found.differences}
    assert by_name["APGR"].verdict == "first"
    assert by_name["CPT(50 %)"].verdict == "first"
    assert by_name["CPT(50 %)"].difference < 0.0
    swapped = compare(random, good_scores(small), small, rounds=400)
    assert swapped.differences[0].verdict == "second"
    assert swapped.differences[0].low == pytest.approx(-by_name["APGR"].high)


def test_a_router_is_not_told_from_itself(small: LoadedBenchmark) -> None:
    scores = good_scores(small)
    found = compare(scores, scores, small, rounds=20)
    assert found.agreement == 1.0
    assert {difference.verdict for difference in found.differences} == {"neither"}


# The page


class Page(HTMLParser):
    """Collect what a page refers to, and check that its elements close."""

    void = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.references += [str(v) for k, v in attrs if k in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(
    make_benchmark, small: LoadedBenchmark, candidates: list[Candidate]
) -> None:
    dollars = make_benchmark(60, name="dollars").with_call_costs(weak=0.1, strong=2.0)
    page = Page(render_page(evaluate(candidates, [small, dollars], rounds=5)))
    assert page.open == []
    assert page.references == []
    assert "script" not in page.counts
    # Curves of both, one over dollars; two histograms and reliability diagrams on each.
    assert page.counts["figure"] == 2 + 1 + 8


def test_names_on_the_page_are_text_and_not_markup(small: LoadedBenchmark) -> None:
    label = '<script>alert("x")</script>'
    hostile = replace(small, domains=("<img src=x>",) * 199 + ("b",), faults={})
    results = evaluate(
        [Candidate(label, load_router("random"))],
        [hostile],
        rounds=5,
        training_prompts=list(small.prompts[:2]),
        command="<b>",
    )
    text = render_page(results)
    assert "<script" not in text
    assert "<img" not in text
    assert Page(text).open == []


def test_win_rates_that_are_all_the_same_still_have_a_histogram(small: LoadedBenchmark) -> None:
    found = measure(np.full(200, 1.0), small, rounds=5).histogram
    assert (found.low, found.high, sum(found.counts)) == (0.99, 1.0, 200)


def test_halves_share_every_domain_and_no_prompt() -> None:
    domains = ["law"] * 40 + ["math"] * 11 + ["one"]
    first, second = halves(domains, seed=3)
    assert sorted([*first, *second]) == list(range(52))
    counts = [np.bincount([domains.index(domains[i]) for i in half]) for half in (first, second)]
    assert counts[0][0] == counts[1][0] == 20
    assert abs(counts[0][40] - counts[1][40]) == 1
    assert halves(domains, seed=4)[0].tolist() != first.tolist()
