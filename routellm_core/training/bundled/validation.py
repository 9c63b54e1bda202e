"""Hold out sources, task groups and pairs of models, and see how the router ranks what it missed.

A unit's figure is the APGR averaged over pairs of models whose quality differs. Held-out models are
known by their general ability only. Baselines run through the same units: prompt length, and a
ridge on difficulty.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from routellm_core.evaluation.metrics import apgr
from routellm_core.training.bundled.abilities import GENERAL_ABILITY, prior_abilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from routellm_core.training.bundled.outcomes import FitSettings
    from routellm_core.training.bundled.sources import Source
    from routellm_core.training.bundled.training_set import TrainingSet

    Rows: TypeAlias = Sequence[NDArray[np.bool_]]
    Scorer: TypeAlias = Callable[[NDArray[np.float32], float, float], NDArray[np.float64]]

__all__ = ["seed_accuracy", "validation_report"]

_LOGGER = logging.getLogger(__name__)
_MIN_GAP = 0.08
_MIN_UNIT_GAP = 0.03
_MIN_PROMPTS = 25
_MAX_PAIRS = 40
_FOLDS = 3
_ROWS = ("router", "length", "difficulty_ridge")


def validation_report(training: TrainingSet, settings: FitSettings) -> dict[str, Any]:
    """Measure everything that can be held out.

    Returns
    -------
    Per kind of unit ("sources", "task_groups", "pairs") and unit, the APGR of router, length and
    difficulty ridge; random is 0.5 and the oracle's best is stated. "seeds" holds the share of
    (hard, easy) pairs of held-out seed prompts in the right order, per language.
    """
    report: dict[str, Any] = {
        "sources": dict(_held_out_sources(training, settings)),
        "task_groups": dict(_held_out_groups(training, settings)),
        "pairs": dict(_held_out_pairs(training, settings)),
    }
    for kind in ("sources", "task_groups", "pairs"):
        units = list(report[kind].values())
        if not units:
            continue
        report[f"{kind}_mean"] = {
            row: round(float(np.mean([unit[row] for unit in units])), 4) for row in units[0]
        }
    rows = [np.full(len(source.prompts), source.may_ship) for source in training.sources]
    fitted = training.fit(settings, rows=rows)
    scores = fitted.pair_scores(training.held_out_embeddings, strong=1.6, weak=0.4)
    report["seeds"] = seed_accuracy(training, scores)
    report["pasted_seeds"] = seed_accuracy(training, scores, pasted=True)
    return report


def seed_accuracy(
    training: TrainingSet, scores: NDArray[np.float64], *, pasted: bool = False
) -> dict[str, float]:
    """Return per language how often a held-out hard seed prompt outscores an easy one.

    Parameters
    ----------
    training
        Holds the held-out seed prompts.
    scores
        Shape (len(training.held_out),).
    pasted
        Whether to compare requests in pasted material, or those that stand alone.
    """
    found = {}
    for language in sorted({seed.language for seed in training.held_out}):
        levels = {
            level: np.array(
                [
                    score
                    for seed, score in zip(training.held_out, scores, strict=True)
                    if (seed.language, seed.level, seed.pasted) == (language, level, pasted)
                ]
            )
            for level in ("easy", "hard")
        }
        above = levels["hard"][:, None] > levels["easy"]
        found[language] = round(float(above.mean()), 4)
    return found


def _held_out_sources(
    training: TrainingSet, settings: FitSettings
) -> Iterator[tuple[str, dict[str, float]]]:
    for index, source in enumerate(training.sources):
        rows = [
            np.full(len(other.prompts), other.may_ship and other.name != source.name)
            for other in training.sources
        ]
        everything = np.ones(len(source.prompts), dtype=bool)
        if not any(mask.any() for mask in rows):
            continue
        scorers = _scorers(training, settings, rows)
        unit = _measure(training, [(index, everything)], scorers)
        if unit:
            _LOGGER.info("held out source %s: %s", source.name, unit)
            yield source.name, unit


def _held_out_groups(
    training: TrainingSet, settings: FitSettings
) -> Iterator[tuple[str, dict[str, float]]]:
    groups = [source.groups for source in training.sources]
    for group in sorted({name for names in groups for name in names.tolist()}):
        rows = [
            (names != group) & source.may_ship
            for names, source in zip(groups, training.sources, strict=True)
        ]
        if not any(mask.any() for mask in rows):
            continue
        scorers = _scorers(training, settings, rows)
        unit = _measure(training, [(i, names == group) for i, names in enumerate(groups)], scorers)
        if unit:
            _LOGGER.info("held out task group %s: %s", group, unit)
            yield group, unit


def _held_out_pairs(
    training: TrainingSet, settings: FitSettings, *, n_pairs: int = 12
) -> Iterator[tuple[str, dict[str, float]]]:
    """Hold out both models of a pair and, in turn, every third of the prompts."""
    rng = np.random.default_rng(0)
    folds = [rng.permutation(len(source.prompts)) % _FOLDS for source in training.sources]
    chosen = [
        (index, pair)
        for index, source in enumerate(training.sources)
        if source.may_ship
        for pair in _spread(_pairs(source), n_pairs // 4)
    ]
    for index, (strong, weak) in chosen:
        source = training.sources[index]
        models = source.models[strong], source.models[weak]
        parts = []
        for fold in range(_FOLDS):
            rows = [
                (own != fold) & other.may_ship
                for own, other in zip(folds, training.sources, strict=True)
            ]
            scorers = _scorers(training, settings, rows, without_models=models)
            unit = _measure(
                training, [(index, folds[index] == fold)], scorers, pairs=[(strong, weak)]
            )
            parts.append(unit)
        parts = [part for part in parts if part]
        if parts:
            unit = {row: round(float(np.mean([p[row] for p in parts])), 4) for row in parts[0]}
            _LOGGER.info("held out pair %s over %s: %s", *models, unit)
            yield f"{source.name}: {models[0]} over {models[1]}", unit


def _scorers(
    training: TrainingSet,
    settings: FitSettings,
    rows: Rows,
    *,
    without_models: Sequence[str] = (),
) -> dict[str, Scorer]:
    fitted = training.fit(settings, rows=rows, without_models=without_models)
    ridge = _difficulty_ridge(training, rows)
    length = training.embedder.parts["surface"].start

    def by_router(e: NDArray[np.float32], strong: float, weak: float) -> NDArray[np.float64]:
        return fitted.pair_scores(e, strong=strong, weak=weak)

    def by_length(e: NDArray[np.float32], *_: float) -> NDArray[np.float64]:
        return e[:, length].astype(np.float64)

    def by_difficulty(e: NDArray[np.float32], *_: float) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = e @ ridge
        return scores

    return {"router": by_router, "length": by_length, "difficulty_ridge": by_difficulty}


def _difficulty_ridge(training: TrainingSet, rows: Rows) -> NDArray[np.float64]:
    """Regress 1 - mean quality, less the source's mean, on the embedding."""
    x, y = [], []
    for source, embedded, mask in zip(training.sources, training.embeddings, rows, strict=True):
        if mask.any():
            difficulty = 1.0 - np.nanmean(source.quality[mask], axis=1)
            x.append(embedded[mask].astype(np.float64))
            y.append(difficulty - difficulty.mean())
    stacked = np.concatenate(x)
    scale = stacked.std(axis=0) + 1e-3
    centred = (stacked - stacked.mean(axis=0)) / scale
    gram = centred.T @ centred + 0.01 * len(centred) * np.eye(centred.shape[1])
    weights: NDArray[np.float64] = np.linalg.solve(gram, centred.T @ np.concatenate(y)) / scale
    return weights


def _measure(
    training: TrainingSet,
    where: Sequence[tuple[int, NDArray[np.bool_]]],
    scorers: dict[str, Scorer],
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> dict[str, float]:
    """Return every scorer's APGR and the oracle's: over pairs, then over sources."""
    by_source: dict[str, list[float]] = {row: [] for row in (*scorers, "oracle")}
    for index, mask in where:
        source, embedded = training.sources[index], training.embeddings[index]
        found: dict[str, list[float]] = {row: [] for row in by_source}
        for strong, weak in _pairs(source) if pairs is None else pairs:
            values = _measure_pair(source, embedded, mask, (strong, weak), scorers)
            for row, value in values.items():
                found[row].append(value)
        for row, several in found.items():
            if several:
                by_source[row].append(float(np.mean(several)))
    return {row: round(float(np.mean(means)), 4) for row, means in by_source.items() if means}


def _measure_pair(
    source: Source,
    embedded: NDArray[np.float32],
    mask: NDArray[np.bool_],
    pair: tuple[int, int],
    scorers: dict[str, Scorer],
) -> dict[str, float]:
    strong, weak = source.quality[:, pair[0]], source.quality[:, pair[1]]
    kept = mask & ~np.isnan(strong) & ~np.isnan(weak)
    if kept.sum() < _MIN_PROMPTS or (strong - weak)[kept].mean() < _MIN_UNIT_GAP:
        return {}
    ability = [_ability(source.models[model]) for model in pair]
    # What is called strong must be believed to be abler, or the scores would be upside down.
    ability[0] = max(ability[0], ability[1] + 0.3)
    strong, weak = strong[kept], weak[kept]
    found = {
        row: apgr(score(embedded[kept], *ability), weak=weak, strong=strong)
        for row, score in scorers.items()
    }
    return found | {"oracle": apgr(strong - weak, weak=weak, strong=strong)}


def _ability(model: str) -> float:
    return float(prior_abilities([model])[0]) if model in GENERAL_ABILITY else 0.0


def _pairs(source: Source) -> list[tuple[int, int]]:
    """Return pairs (strong, weak) whose mean quality differs, at most 40, chosen evenly."""
    means = np.nanmean(source.quality, axis=0)
    order = np.argsort(-means, kind="stable").tolist()
    pairs = [
        (strong, weak)
        for place, strong in enumerate(order)
        for weak in order[place + 1 :]
        if means[strong] - means[weak] >= _MIN_GAP and means[strong] >= 0.25
    ]
    return _spread(pairs, _MAX_PAIRS)


def _spread(pairs: list[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    if len(pairs) <= n:
        return pairs
    return [pairs[i] for i in np.linspace(0, len(pairs) - 1, n).astype(int)]
