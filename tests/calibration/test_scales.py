"""Percentiles: what thresholds are compared with, and what they leave as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from planted import PAIR, outcome_rows, planted
from typer.testing import CliRunner

from routellm_core import load_router, router_threshold
from routellm_core.calibration import (
    calibration_of,
    on_percentiles,
    percentile_scale,
    quality_threshold,
    with_calibration,
)
from routellm_core.checkpoints import _checksum, notes_folder
from routellm_core.cli.app import app
from routellm_core.data import read_outcomes
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers.base import Router
from routellm_core.routers.ensemble import EnsembleRouter
from routellm_core.training import train_knn
from routellm_core.training.trained import Trained
from routellm_core.types import Calibration

PROMPTS = [
    f"{task} {topic} {n}."
    for task in ("Name", "Prove a theorem about", "Translate the word", "Debug this code for")
    for topic in ("tea", "prime numbers", "fluid flow", "a war", "loops")
    for n in range(5)
]


def at(scale: NDArray[np.float64], raw: float) -> float:
    return float(np.interp(raw, *scale.T))


def test_a_percentile_is_the_share_of_prompts_below_and_half_of_those_alike() -> None:
    scale = percentile_scale([0.1, 0.2, 0.2, 0.2, 0.3])
    assert at(scale, 0.2) == 0.5
    assert 0.0 < at(scale, 0.05) < at(scale, 0.1) < 0.25
    assert 0.75 < at(scale, 0.3) < at(scale, 0.35) < 1.0
    assert (at(scale, 0.0), at(scale, 1.0)) == (0.0, 1.0)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_the_order_of_prompts_stays(calibrated: list[float]) -> None:
    scale = percentile_scale(calibrated)
    assert (np.diff(scale, axis=0) > 0.0).all()
    steps = np.linspace(0.0, 1.0, 101)
    assert (np.diff(np.interp(steps, *scale.T)) > 0.0).all()


def test_the_bundled_router_ranks_as_its_raw_win_rates_do() -> None:
    router = load_router("mf")
    raw, found = router.raw_win_rates(PROMPTS), router.win_rates(PROMPTS)
    assert router.scale == "percentile"
    assert np.argsort(raw, kind="stable").tolist() == np.argsort(found, kind="stable").tolist()
    assert len(np.unique(raw)) == len(np.unique(found))
    assert not np.allclose(raw, found, atol=0.1)


@pytest.mark.parametrize("threshold", [t / 10 for t in range(1, 10)])
def test_each_threshold_sends_calls_both_ways(threshold: float) -> None:
    router = load_router("mf")
    calibration = router.calibration
    assert calibration is not None
    assert (calibration.quantiles >= threshold).mean() == pytest.approx(1 - threshold, abs=0.01)
    assert router_threshold(router, strong_share=1 - threshold) == pytest.approx(threshold)


def test_the_threshold_of_routellms_readme_sends_a_greeting_to_the_weak_model() -> None:
    assert load_router("mf").win_rate("Hello!") < 0.11593


def test_a_random_router_gives_percentiles_by_construction() -> None:
    assert load_router("random").scale == "percentile"


def trained() -> Trained:
    outcomes = read_outcomes(outcome_rows(*planted(300, seed=1)))
    return train_knn(outcomes, pair=PAIR, embedder=BundledEmbedder())


def test_a_trained_router_is_on_the_scale_that_it_is_saved_with(tmp_path: Path) -> None:
    found = trained()
    folder = found.save(tmp_path / "knn")
    loaded = load_router("knn", checkpoint=folder)
    assert (found.router.scale, loaded.scale) == ("percentile", "percentile")
    assert loaded.win_rates(PROMPTS).tolist() == found.router.win_rates(PROMPTS).tolist()
    assert loaded.raw_win_rates(PROMPTS).tolist() == found.router.raw_win_rates(PROMPTS).tolist()


async def test_both_ways_of_scoring_are_on_the_scale() -> None:
    class Waiting(BundledEmbedder):
        async def aembed(self, texts: list[str]) -> NDArray[np.float32]:
            return self.embed(texts)

    for router in (load_router("mf"), load_router("mf", embedder=Waiting())):
        assert (await router.awin_rates(PROMPTS)).tolist() == router.win_rates(PROMPTS).tolist()
        assert await router.awin_rate(PROMPTS[0]) == router.win_rate(PROMPTS[0])


def test_an_ensemble_averages_raw_win_rates() -> None:
    router = load_router("mf")
    ensemble = EnsembleRouter({"a": router, "b": load_router("random", seed=3)})
    half = (router.raw_win_rates(PROMPTS) + load_router("random", seed=3).win_rates(PROMPTS)) / 2
    np.testing.assert_allclose(ensemble.win_rates(PROMPTS), half, atol=1e-12)


def old_format(folder: Path, *, scale: str | None = None) -> None:
    """Make a checkpoint one of the time before scales, or one that states another."""
    path = notes_folder(folder) / "config.json"
    config = json.loads(path.read_text())
    del config["calibration"]["scale"]
    if scale is not None:
        config["calibration"]["scale"] = scale
    config["checksum"] = _checksum(config)
    path.write_text(json.dumps(config))


def raw_calibration(raw: NDArray[np.float64]) -> Calibration:
    rng = np.random.default_rng(0)
    strong = np.ones(len(raw))
    weak = np.maximum(raw <= np.median(raw), rng.random(len(raw)) < 0.8).astype(float)
    return calibration_of(raw, source="before", weak=weak, strong=strong)


def raw_knn() -> Router:
    router = trained().router
    router.set_calibration(None)
    return router


def test_a_calibration_of_before_is_converted(tmp_path: Path) -> None:
    router = raw_knn()
    before = raw_calibration(router.win_rates(PROMPTS * 5))
    assert before.quality_floors is not None
    router.set_calibration(before)
    folder = with_calibration(router, before, tmp_path / "knn")
    kept = load_router("knn", checkpoint=folder)
    assert kept.scale == "probability"
    old_format(folder)
    converted = load_router("knn", checkpoint=folder)
    assert converted.scale == "percentile"
    for share in (0.1, 0.3, 0.7):
        routes = [
            (each.win_rates(PROMPTS) >= router_threshold(each, strong_share=share)).tolist()
            for each in (kept, converted)
        ]
        assert routes[0] == routes[1]
    assert (before.quality_floors[:10, 1] > before.quantiles[0]).any()
    for floor in before.quality_floors[before.quality_floors[:, 1] > before.quantiles[0], 0]:
        routes = [
            (each.win_rates(PROMPTS) >= quality_threshold(each, min_quality=floor)).tolist()
            for each in (kept, converted)
        ]
        assert routes[0] == routes[1]


@pytest.mark.parametrize("scale", ["percentile", "per mille"])
def test_a_checkpoint_whose_scale_is_wrong_is_refused(tmp_path: Path, scale: str) -> None:
    router = raw_knn()
    folder = with_calibration(router, raw_calibration(router.win_rates(PROMPTS)), tmp_path / "knn")
    old_format(folder, scale=scale)
    with pytest.raises(CheckpointError, match=f"scale is '{scale}'"):
        load_router("knn", checkpoint=folder)


def test_a_scale_that_ties_prompts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ascend strictly"):
        Calibration(
            np.array([0.0, 1.0]), 2, "x", scale=np.array([[0.0, 0.0], [0.5, 0.5], [0.6, 0.5]])
        )


def test_calibrating_makes_percentiles_of_own_prompts(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS))
    folder = tmp_path / "mine"
    done = CliRunner().invoke(app, ["calibrate", str(file), "--save", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    mine = load_router("mf", checkpoint=folder)
    assert mine.scale == "percentile"
    for row, share in zip(rows, (0.1, 0.3, 0.5, 0.7), strict=True):
        # Some of the prompts are alike to the router.
        assert row["threshold"] == pytest.approx(1 - share, abs=0.05)
        assert (mine.win_rates(PROMPTS) >= 1 - share).mean() == pytest.approx(share, abs=0.05)
    bundled = load_router("mf")
    assert mine.raw_win_rates(PROMPTS).tolist() == bundled.raw_win_rates(PROMPTS).tolist()


def test_percentiles_of_a_calibration_are_spread_evenly() -> None:
    raw = np.random.default_rng(1).beta(2, 8, 500)
    made = on_percentiles(calibration_of(raw, source="x"))
    np.testing.assert_allclose(made.quantiles, np.linspace(0, 1, 500), atol=2e-3)
    assert made.n_prompts == 500


def test_expectations_of_quality_are_not_percentiles() -> None:
    router = raw_knn()
    before = router.win_rates(PROMPTS)
    router.set_calibration(on_percentiles(calibration_of(before, source="x")))
    quality = router.qualities(PROMPTS, [PAIR.strong, PAIR.weak])
    np.testing.assert_allclose(0.5 + 0.5 * (quality[:, 0] - quality[:, 1]), before, atol=1e-9)
