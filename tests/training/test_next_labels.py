"""What more labels would bring: the learning curve, followed further."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from planted import PAIR, outcome_rows, planted
from typer.testing import CliRunner

from routellm_core import ConfigurationError
from routellm_core.cli.app import app
from routellm_core.data import read_outcomes
from routellm_core.evaluation.metrics import apgr
from routellm_core.testing import HashingEmbedder
from routellm_core.training import train_adapted
from routellm_core.training.examples import PairExamples
from routellm_core.training.folds import folds_of
from routellm_core.training.next_labels import next_labels_gain


class Learner:
    """Ranks prompts the better, the more labels it has seen; notes what it saw."""

    def __init__(self, n: int, *, gap: float = 1.0) -> None:
        hard = np.random.default_rng(1).random(n) < 0.4
        prompts = tuple(f"Question {row}" for row in range(n))
        self.examples = PairExamples(prompts, np.full(n, gap), gap - gap * hard)
        self.noise = np.random.default_rng(2).random(n)
        self.calls: list[np.ndarray] = []

    def after(self, size: int, rows: np.ndarray) -> np.ndarray:
        return (math.log(size) * self.examples.labels[rows] + 4.0 * self.noise[rows]) / 20.0

    def rates(self, labelled: np.ndarray, scored: np.ndarray) -> np.ndarray:
        self.calls.append(labelled)
        # The more difficult the labels, the higher all of it.
        shift = float(self.examples.labels[labelled].mean()) - 0.5
        return self.after(len(labelled), scored) + shift


def test_the_gain_follows_the_line_through_the_curve_and_what_is_usual() -> None:
    learner = Learner(200)
    folds = folds_of(200, share=0.2, seed=0)
    found = next_labels_gain(learner, folds, extra=100)
    everything = np.arange(200)
    curve = [
        apgr(
            learner.after(size, everything),
            weak=learner.examples.weak,
            strong=learner.examples.strong,
        )
        for size in (40, 40, 80, 80, 160)
    ]
    slope = np.polyfit(np.log([40, 40, 80, 80, 160]), curve, 1)[0]
    gain = found.apgr_gain / math.log(300 / 200)
    # Between the usual slope and the measured one, and nearer to the more precise of them.
    assert 0.018 < gain < slope
    deviation = (found.high - found.low) / 2.0 / 1.96 / math.log(300 / 200)
    usual_share = deviation**2 / 0.016**2
    assert gain == pytest.approx(usual_share * 0.018 + (1.0 - usual_share) * slope)


def test_with_many_labels_the_measured_slope_decides() -> None:
    shares = []
    for n in (30, 5000):
        found = next_labels_gain(Learner(n), folds_of(n, share=0.5, seed=0), extra=100)
        deviation = (found.high - found.low) / 2.0 / 1.96 / math.log((n + 100) / n)
        shares.append(deviation**2 / 0.016**2)
    assert shares[0] > 0.5
    assert shares[1] < 0.3


def test_no_fit_scores_what_it_has_seen_and_parts_of_a_fold_share_nothing() -> None:
    learner = Learner(60)
    folds = folds_of(60, share=0.25, seed=0)
    next_labels_gain(learner, folds, extra=100)
    assert [len(rows) for rows in learner.calls] == [11] * 8 + [22] * 8 + [45] * 4
    for call, rows in enumerate(learner.calls):
        outside, inside = folds[call % 4]
        assert set(rows) <= set(outside)
        assert not set(rows) & set(inside)
    for first, second in ((0, 4), (8, 12)):
        assert not set(learner.calls[first]) & set(learner.calls[second])


@pytest.mark.parametrize("learner", [Learner(19), Learner(60, gap=0.0)], ids=["few", "no gap"])
def test_where_nothing_can_be_said_nothing_is(learner: Learner) -> None:
    n = len(learner.examples.prompts)
    assert next_labels_gain(learner, folds_of(n, share=0.2, seed=0), extra=100) is None
    assert not learner.calls


def test_training_tells_it_when_asked() -> None:
    data = read_outcomes(outcome_rows(*planted(60, seed=1)))
    options = {"pair": PAIR, "embedder": HashingEmbedder(dimension=32), "from_scratch": ()}
    assert "next_labels" not in train_adapted(data, **options).metrics
    found = train_adapted(data, next_labels=40, **options).metrics["next_labels"]
    assert found["n"] == 40
    assert found["low"] < found["apgr_gain"] < found["high"]
    for bad in (-1, 0.5, True):
        with pytest.raises(ConfigurationError, match="`next_labels` must be a whole number"):
            train_adapted(data, next_labels=bad, **options)


def test_the_command_tells_it(tmp_path) -> None:
    path, out = tmp_path / "labels.jsonl", tmp_path / "mine"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(40, seed=1))))
    arguments = ["adapt", "--data", str(path), "--pair", "big", "small", "--out", str(out)]
    arguments += ["--validation-share", "0.5"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("The next 100 labels")]
    found = json.loads(CliRunner().invoke(app, [*arguments, "--force", "--json"]).stdout)
    more = found["next_labels"]
    assert f"about {more['apgr_gain']:+.3f} to the APGR" in line
    assert f"{more['low']:+.3f} to {more['high']:+.3f}" in line
