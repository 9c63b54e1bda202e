"""Training the verifier `learned` on graded answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.answers.answer_features import FEATURE_NAMES, answer_features, joined_inputs
from routellm_core.answers.content import Answer, Prompt
from routellm_core.answers.learned_verifier import LearnedVerifier
from routellm_core.calibration.logistic import LogisticMap, fit_logistics
from routellm_core.calibration.probability import ProbabilityMap, fit_isotonic, fit_platt
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import DataError
from routellm_core.evaluation.metrics import auroc, brier, ece, nll
from routellm_core.training.examples import embed_all, split_rows
from routellm_core.training.guards import many_bad_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.data.answers import GradedAnswers
    from routellm_core.embedders.base import Embedder

__all__ = ["TrainedVerifier", "answer_doubts", "train_verifier"]

_FEATURE_RIDGE = 1.0
# Times the number of embedding inputs: with 1 these move a typical log-odds by about 1.
_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e6)
_FOLDS = 5
_ENOUGH_FOR_ISOTONIC = 1000
_MIN_ROWS = 200
_ENOUGH_HELD_OUT = 100
_ROUNDS = 500
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class TrainedVerifier:
    """A trained verifier, not written yet.

    Parameters
    ----------
    verifier
        Ready to score.
    metrics
        Of rows that a fit did not see, by prompt: `auroc` of good answers with its 95 % interval
        `auroc_low`, `auroc_high`; `ece` and `brier`; `base_brier`, of the mean quality in place of
        every score; and, as what a verifier must beat, `auroc_length`, `auroc_win_rate` and
        `auroc_logprob` of these numbers alone, in their better direction. None where a figure is
        not defined.
    settings
        What it was trained with, JSON values only.
    """

    verifier: LearnedVerifier
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against using it, a sentence each; () for nothing."""
        figures = self.metrics
        found = []
        if figures["n_validation"] < _ENOUGH_HELD_OUT:
            found.append(
                f"Only {figures['n_validation']:,} answers are held back: the figures say little. "
                "Bring more rows, or hold more back with `--validation-share` (`validation_share`)."
            )
        if figures["auroc"] is None:
            found.append("All answers held back are good, or none is: AUROC is not defined.")
        elif figures["auroc_low"] <= 0.5:
            found.append(
                f"On the answers held back it does not tell good from bad: AUROC "
                f"{figures['auroc']:.3f}, 95 % interval {figures['auroc_low']:.3f} to "
                f"{figures['auroc_high']:.3f}."
            )
        found += self._beaten()
        if figures["brier"] >= figures["base_brier"]:
            found.append(
                f"Its Brier score of {figures['brier']:.4f} is no better than the mean quality's, "
                f"{figures['base_brier']:.4f}: its scores are no probabilities."
            )
        return tuple(found)

    def _beaten(self) -> list[str]:
        """Return a sentence where one number alone tells as much as the verifier."""
        reached = self.metrics["auroc"]
        alone = {
            name: value
            for name in ("length", "win_rate", "logprob")
            if (value := self.metrics.get(f"auroc_{name}")) is not None
        }
        if reached is None or not alone or max(alone.values()) < reached:
            return []
        best = max(alone, key=lambda name: alone[name])
        return [
            f"On the answers held back {best.replace('_', ' ')} alone tells as much: AUROC "
            f"{alone[best]:.3f}, the verifier's {reached:.3f}."
        ]

    def save(self, folder: str | Path) -> Path:
        """Write the verifier with figures and settings, and return its folder.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        """
        self.verifier.training = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "version": version("routellm-plugins"),
            "settings": dict(self.settings),
            "metrics": dict(self.metrics),
        }
        return self.verifier.save(folder)


def train_verifier(
    data: GradedAnswers,
    *,
    embedder: Embedder | None = None,
    model: str | None = None,
    good_from: float = 0.5,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> TrainedVerifier:
    """Learn to score answers: a penalised logistic regression, and a map of its probabilities.

    What is measured is measured on prompts that were held back, by a fit that did not see them;
    how strongly embeddings are penalised and the map come from five folds of the other prompts. In
    the end all rows are fitted. The map is kept only where it helps on the rows held back.

    Parameters
    ----------
    data
        Graded answers, best of the model whose drafts will be scored.
    embedder
        Embeds prompts and answers; by default the bundled one.
    model
        Whose answers to learn from; all by default.
    good_from
        In (0, 1]: the quality from which an answer counts as good in AUROC. The fit takes the
        quality as it is.
    validation_share
        In (0, 1): the share of the prompts that are held back.
    seed
        Which prompts are held back, and which share a fold.

    Raises
    ------
    DataError
        If all answers are equally good, there are too few prompts, or none is of the model.
    ConfigurationError
        If a setting is outside its range.
    """
    check_fraction(good_from, name="good_from", within="(0, 1]")
    data = data if model is None else data.of_model(model)
    if float(np.ptp(data.quality)) <= _SAME:
        raise DataError(
            f"All {len(data):,} answers have the quality {data.quality[0]:g}: nothing can be "
            "learnt from that. Bring answers that differ."
        )
    train, held = split_rows(data.prompts, validation_share=validation_share, seed=seed)
    embedder = embedder or BundledEmbedder()
    inputs = _inputs(data, embedder, show_progress=show_progress)
    fitted = _fit(inputs[train], data.select(train), seed=seed)
    raw = fitted.model(inputs[held])
    metrics = _metrics(data.select(held), raw, fitted.curve(raw), good_from=good_from)
    last = _fit(inputs, data, seed=seed)
    helps = metrics["curved_ece"] < metrics["raw_ece"] and (
        metrics["curved_brier"] <= metrics["raw_brier"]
    )
    kept = {"ece": metrics["curved_ece"], "brier": metrics["curved_brier"]}
    if not helps:
        kept = {"ece": metrics["raw_ece"], "brier": metrics["raw_brier"]}
    metrics = {"n_train": len(train), **metrics, **kept}
    verifier = LearnedVerifier(
        model=last.model,
        embedder=embedder,
        curve=last.curve if helps else None,
        is_calibrated=kept["brier"] < metrics["base_brier"],
        wants_logprobs=bool(np.isfinite(data.logprobs).any()),
    )
    settings = {
        "n": len(data), "model": model, "good_from": good_from, "seed": seed,
        "validation_share": validation_share, "ridge": last.ridge, "has_curve": helps,
    }  # fmt: skip
    return TrainedVerifier(verifier, metrics, settings)


def answer_doubts(data: GradedAnswers, *, model: str | None = None) -> tuple[str, ...]:
    """Return what speaks against training on these answers, a sentence each; () for nothing.

    `train_verifier` takes such data. `routellm train verifier` stops, unless `--force` is given.

    Parameters
    ----------
    model
        Whose answers are learned from; all by default.

    Raises
    ------
    DataError
        If no answer is of the model.
    """
    n = len(data if model is None else data.of_model(model))
    few = ""
    if n < _MIN_ROWS:
        few = (
            f"Only {n:,} answers to learn from, and a verifier needs at least {_MIN_ROWS}: bring "
            "more rows."
        )
    return tuple(filter(None, [many_bad_rows(data.report), few]))


class _Fitted(NamedTuple):
    model: LogisticMap
    curve: ProbabilityMap
    ridge: float


def _inputs(data: GradedAnswers, embedder: Embedder, *, show_progress: bool) -> NDArray[np.float64]:
    texts = list(dict.fromkeys([*data.prompts, *data.answers]))
    rows = {text: row for row, text in enumerate(texts)}
    vectors = embed_all(embedder, texts, show_progress=show_progress)
    prompts = [
        Prompt(text, win_rate=None if math.isnan(rate) else float(rate))
        for text, rate in zip(data.prompts, data.win_rates, strict=True)
    ]
    answers = [
        Answer(text, finish_reason=reason)
        for text, reason in zip(data.answers, data.finish_reasons, strict=True)
    ]
    return joined_inputs(
        answer_features(prompts, answers, data.logprobs.tolist()),
        vectors[[rows[text] for text in data.prompts]],
        vectors[[rows[text] for text in data.answers]],
    )


def _fit(inputs: NDArray[np.float64], data: GradedAnswers, *, seed: int) -> _Fitted:
    """Choose the penalty by folds, fit all rows with it, and map what the folds predicted."""
    own = len(FEATURE_NAMES) + 1
    width = inputs.shape[1] - own
    ridges = np.array([[_FEATURE_RIDGE] * own + [ridge * width] * width for ridge in _RIDGES])
    fold_of = _folds(data.prompts, seed=seed)
    unseen = np.empty((len(_RIDGES), len(data)))
    for fold in range(int(fold_of.max()) + 1):
        inside = fold_of == fold
        maps = fit_logistics(inputs[~inside], data.quality[~inside], ridges=ridges)
        unseen[:, inside] = [fitted(inputs[inside]) for fitted in maps]
    best = int(np.argmin([nll(chances, data.quality) for chances in unseen]))
    (model,) = fit_logistics(inputs, data.quality, ridges=ridges[best : best + 1])
    fit_map = fit_isotonic if len(data) >= _ENOUGH_FOR_ISOTONIC else fit_platt
    return _Fitted(model, fit_map(unseen[best], data.quality), _RIDGES[best])


def _folds(prompts: Sequence[str], *, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, equal prompts in one."""
    unique = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    order = np.random.default_rng(seed).permutation(len(unique)) % min(_FOLDS, len(unique))
    return order[[unique[prompt] for prompt in prompts]]


def _metrics(
    held: GradedAnswers,
    raw: NDArray[np.float64],
    curved: NDArray[np.float64],
    *,
    good_from: float,
) -> dict[str, Any]:
    good = held.quality >= good_from
    low, high = _auroc_interval(raw, good, held.prompts)
    mean = np.full(len(held), held.quality.mean())
    lengths = np.array([len(answer) for answer in held.answers], dtype=np.float64)
    return {
        "n_validation": len(held),
        "mean_quality": float(held.quality.mean()),
        "auroc": _auroc(raw, good),
        "auroc_low": low,
        "auroc_high": high,
        "auroc_length": _either_way(lengths, good),
        "auroc_win_rate": _either_way(held.win_rates, good),
        "auroc_logprob": _either_way(held.logprobs, good),
        "raw_ece": ece(raw, held.quality),
        "curved_ece": ece(curved, held.quality),
        "raw_brier": brier(raw, held.quality),
        "curved_brier": brier(curved, held.quality),
        "base_brier": brier(mean, held.quality),
    }


def _auroc(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> float | None:
    return auroc(scores, good) if 0 < good.sum() < len(good) else None


def _either_way(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> float | None:
    """Return the AUROC of a number or of its negative, of the rows where it is known."""
    known = np.isfinite(scores)
    found = _auroc(scores[known], good[known]) if known.any() else None
    return None if found is None else max(found, 1.0 - found)


def _auroc_interval(
    scores: NDArray[np.float64], good: NDArray[np.bool_], prompts: Sequence[str]
) -> tuple[float | None, float | None]:
    """Return the 95 % percentile interval over draws of whole prompts."""
    unique = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    groups = np.array([unique[prompt] for prompt in prompts])
    rng = np.random.default_rng(0)
    values = []
    for _ in range(_ROUNDS):
        counts = np.bincount(rng.integers(len(unique), size=len(unique)), minlength=len(unique))
        rows = np.repeat(np.arange(len(groups)), counts[groups])
        value = _auroc(scores[rows], good[rows])
        if value is not None:
            values.append(value)
    if not values:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
