"""From a log to a router: with judges of known error rates, and what stops it."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from planted import PAIR, outcome_rows, planted

from routellm_core import ConfigurationError, load_router
from routellm_core.data import read_outcomes
from routellm_core.embedders import load_embedder
from routellm_core.errors import DataError
from routellm_core.evaluation.metrics import apgr
from routellm_core.labeling import LabelJob, LabelSettings, LoggedPrompt, Reply, choose
from routellm_core.monitoring import Price
from routellm_core.training import train_adapted, train_knn
from routellm_core.tuning import TuneJob, labels_path, tune

MODELS = ("big", "small")
PRICES = {"big": Price("big", 1e-5, 3e-5), "small": Price("small", 1e-6, 3e-6),
          "judge": Price("judge", 1e-6, 1e-6)}  # fmt: skip


class Answers:
    """Answers as two models and a judge do.

    Parameters
    ----------
    hard
        By prompt: whether the small model is wrong.
    error_rate
        The share of the prompts on which the judge errs.
    first
        On these it says that the first answer is better, instead of another of the three verdicts.
    better
        The model that is always right.
    """

    def __init__(self, hard, *, error_rate=0.0, first=False, better="big") -> None:
        self.hard, self.error_rate, self.first, self.better = hard, error_rate, first, better
        self.asked: list[str] = []

    async def ask(self, call) -> Reply:
        self.asked.append(call.key)
        text = str(call.messages[-1]["content"])
        if call.model == "judge":
            return Reply(json.dumps({"better": self.verdict(text)}), 60, 8)
        right = call.model == self.better or not self.hard[text]
        return Reply(f"{'right' if right else 'wrong'}, says {call.model}", 20, 4)

    def verdict(self, text: str) -> str:
        said = {name: text.split(f"<answer_{name}>")[1].split("</")[0].strip() for name in "AB"}
        right = [name for name, answer in said.items() if answer.startswith("right")]
        verdict = right[0] if len(right) == 1 else "tie"
        (prompt,) = [one for one in self.hard if f"\n{one}\n" in text]
        chance = zlib.crc32(prompt.encode())
        if chance % 1000 >= 1000 * self.error_rate:
            return verdict
        if self.first:
            return "A"
        # The same verdict, whichever answer comes first.
        order = sorted(said, key=said.get)
        others = [name for name in (*order, "tie") if name != verdict]
        return others[chance // 1000 % 2]


def job_of(prompts, folder, *, sample=None, prior="random", cap=9.0, **options) -> TuneJob:
    out = folder / "router"
    choice = choose(prompts, sample)
    labelling = LabelJob(
        prompts=[LoggedPrompt(prompts[row]) for row in choice.rows],
        settings=LabelSettings(mode="pairwise", models=MODELS, judge="judge", max_tokens=20),
        out=labels_path(out),
        max_cost_usd=cap,
        prices=PRICES,
        places=choice.rows.tolist(),
        shares=choice.shares.tolist(),
    )
    return TuneJob(labelling=labelling, prompts=prompts, out=out, prior=prior, **options)


@pytest.fixture(scope="module")
def log():
    prompts, hard = planted(300, seed=21)
    known = dict(zip(prompts, hard.tolist(), strict=True))
    return list(known), known


def measured(router) -> float:
    prompts, hard = planted(1500, seed=22)
    return apgr(router.win_rates(prompts), weak=1.0 - hard, strong=np.ones(len(hard)))


def loaded(report):
    return load_router("adapted", checkpoint=report.checkpoint)


@pytest.fixture(scope="module")
def dull(tmp_path_factory):
    """Return a prior that learnt nothing, from labels without a rule."""
    prompts, hard = planted(120, seed=23)
    rows = outcome_rows(prompts, np.random.default_rng(2).permutation(hard))
    result = train_knn(read_outcomes(rows), pair=PAIR, embedder=load_embedder("bundled"))
    return load_router("knn", checkpoint=result.save(tmp_path_factory.mktemp("dull") / "knn"))


def test_a_log_becomes_a_calibrated_router_and_a_report(log, tmp_path) -> None:
    prompts, hard = log
    job = job_of(prompts, tmp_path)
    report = tune(job, asker=Answers(hard))
    router = loaded(report)
    true = measured(router)
    found = report.gap_recovered
    assert found.low - 0.03 <= true <= found.high + 0.03
    assert report.gain.low > 0.0
    assert report.prior_gap_recovered.value == pytest.approx(
        measured(load_router("random")), abs=0.1
    )
    assert report.n_labels == report.labelling.n_labelled == len(prompts)
    # On the log's prompts, and with floors from the labels.
    assert router.calibration.n_prompts == len(prompts)
    assert "prompts of the log" in router.calibration.source
    assert router.calibration.quality_floors is not None
    assert report.labelling.spent_usd < 9.0
    # Weak answers cost a tenth of strong ones.
    loss = report.no_loss
    assert loss.cost_saving == pytest.approx(0.9 * loss.weak_share)


@pytest.mark.parametrize(("error_rate", "first"), [(0.1, False), (0.2, True)])
def test_a_judge_that_errs_keeps_nine_tenths_of_the_gain(
    log, dull, error_rate, first, tmp_path
) -> None:
    prompts, hard = log
    rows = outcome_rows(prompts, np.array(list(hard.values())))
    true = measured(train_adapted(read_outcomes(rows), pair=PAIR, prior=dull).router)
    answers = Answers(hard, error_rate=error_rate, first=first)
    report = tune(job_of(prompts, tmp_path, prior=dull), asker=answers)
    before, found = measured(dull), measured(loaded(report))
    assert true - before > 0.15
    assert found - before >= 0.9 * (true - before)


def test_the_same_job_again_asks_nobody_and_writes_the_same_router(log, tmp_path) -> None:
    prompts, hard = log
    job, answers = job_of(prompts[:80], tmp_path), Answers(hard)
    tune(job, asker=answers)
    n_asked = len(answers.asked)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    tune(job, asker=answers)
    assert len(answers.asked) == n_asked == len(set(answers.asked))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_sample_stands_for_all_prompts_of_the_log(log, tmp_path) -> None:
    prompts, hard = log
    report = tune(job_of(prompts, tmp_path, sample=120), asker=Answers(hard))
    assert report.n_labels == 120
    assert loaded(report).calibration.n_prompts == len(prompts)


def test_the_cap_gives_the_router_that_the_money_pays(log, tmp_path) -> None:
    prompts, hard = log
    report = tune(job_of(prompts, tmp_path, cap=0.05), asker=Answers(hard))
    assert 12 <= report.n_labels < len(prompts)
    assert report.labelling.spent_usd <= 0.05
    assert "--max-cost" in report.labelling.capped
    whole = tune(job_of(prompts, tmp_path, cap=9.0), asker=Answers(hard))
    assert whole.n_labels == len(prompts)


def test_what_stops_it_keeps_the_labels(log, tmp_path) -> None:
    prompts, hard = log
    needy = [prompt for prompt in prompts if hard[prompt]]
    easy = [prompt for prompt in prompts if not hard[prompt]]
    few = job_of([*needy[:4], *easy[:5]], tmp_path)
    with pytest.raises(DataError, match=r"Only 9 prompts have a label.* same command goes on"):
        tune(few, asker=Answers(hard))
    assert labels_path(tmp_path / "router").exists()
    (tmp_path / "b").mkdir()
    upside_down = Answers(hard, better="small")
    with pytest.raises(DataError, match=r"is worse than .*`--force` goes on all the same"):
        tune(job_of(prompts, tmp_path / "b"), asker=upside_down)
    n_asked = len(upside_down.asked)
    forced = tune(job_of(prompts, tmp_path / "b", force=True), asker=upside_down)
    assert "is worse than" in forced.doubts[0]
    assert len(upside_down.asked) == n_asked


def test_a_folder_of_something_else_is_not_replaced(log, tmp_path) -> None:
    prompts, hard = log
    (tmp_path / "router").mkdir()
    answers = Answers(hard)
    with pytest.raises(ConfigurationError, match="exists, and no run of tuning wrote it"):
        tune(job_of(prompts, tmp_path), asker=answers)
    assert answers.asked == []
