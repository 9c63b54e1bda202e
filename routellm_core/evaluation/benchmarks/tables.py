"""Benchmarks that are one table: RouterBench's, and anybody's own outcomes."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core.data.messages import prompt_field
from routellm_core.data.outcomes import number_field, read_outcomes, text_field
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import ConfigurationError, DataError, UnknownModelError, did_you_mean
from routellm_core.evaluation.benchmarks.base import (
    Benchmark,
    LoadedBenchmark,
    contaminated_prompts,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.types import ModelPair

__all__ = ["OutcomeTable", "RouterBench"]

_COST = "|total_cost"
_NOT_MODELS = {"sample_id", "prompt", "eval_name", "oracle_model_to_route_to"}


class RouterBench(Benchmark):
    """RouterBench's wide table, one row per prompt, as .csv, .jsonl or .parquet.

    Columns: `prompt`, `eval_name`, for each model its quality under its name, and its cost in US
    dollars under "<model>|total_cost". RouterBench ships pickles, which are not read: convert them
    once with pandas, on a machine that you do not mind running them on.
    """

    name: ClassVar[str] = "routerbench"

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read the table; `pair` is needed."""
        if pair is None:
            raise ConfigurationError("RouterBench needs a strong and a weak model to look at.")
        prompts: list[str] = []
        domains: list[str] = []
        values: list[tuple[float, float, float, float]] = []
        for line, row in numbered_rows(Path(path)):
            if isinstance(row, DataError):
                raise DataError(f"{str(path)!r}, line {line}: {row}")
            if not values:
                _check_models(row, pair)
            try:
                prompts.append(_unwrapped(text_field(row, "prompt")))
                domains.append(str(row.get("eval_name") or self.name))
                values.append(_values(row, pair))
            except DataError as error:
                raise DataError(f"{str(path)!r}, line {line}: {error}") from error
        if not values:
            raise DataError(f"{str(path)!r} is empty.")
        table = np.array(values, dtype=np.float64)
        known_costs = bool(np.isfinite(table[:, 2:]).all())
        return LoadedBenchmark(
            name=self.name,
            pair=pair,
            prompts=tuple(prompts),
            weak=table[:, 0],
            strong=table[:, 1],
            domains=tuple(domains),
            weak_cost=table[:, 2] if known_costs else None,
            strong_cost=table[:, 3] if known_costs else None,
        )


class OutcomeTable(Benchmark):
    """Own outcomes, one row per prompt and model: `prompt`, `model`, `quality` and maybe `cost`.

    A column `domain` names slices. Prompts of "<file>.contaminated.jsonl" are left out.
    """

    name: ClassVar[str] = "outcomes"

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read the table; `pair` is needed unless it holds exactly two models.

        Of two models the one of higher mean quality is the strong one.
        """
        outcomes = self._outcomes(Path(path))
        both = outcomes.of_pair(pair or _only_pair(outcomes.models, outcomes.quality))
        domain_of = _domains(Path(path))
        contaminated = contaminated_prompts(Path(f"{path}.contaminated.jsonl"))
        removed = [prompt in contaminated for prompt in both.prompts]
        kept = both.select(~np.array(removed))
        known_costs = bool(np.isfinite(kept.cost).all()) and len(kept) > 0
        return LoadedBenchmark(
            name=Path(path).stem,
            pair=_pair_of(both.models),
            prompts=kept.prompts,
            weak=kept.quality[:, 1],
            strong=kept.quality[:, 0],
            domains=tuple(
                domain_of.get(prompt, "all") for prompt in without(list(both.prompts), removed)
            ),
            weak_cost=kept.cost[:, 1] if known_costs else None,
            strong_cost=kept.cost[:, 0] if known_costs else None,
            n_removed=sum(removed),
        )

    def _outcomes(self, path: Path) -> Outcomes:
        return read_outcomes(path)


def _check_models(row: Mapping[str, Any], pair: ModelPair) -> None:
    known = sorted(name for name in row if "|" not in name and name not in _NOT_MODELS)
    for model in (pair.strong, pair.weak):
        if model not in known:
            raise UnknownModelError(
                f"The table has no column {model!r}.{did_you_mean(model, known)} "
                f"Models: {', '.join(known)}."
            )


def _values(row: Mapping[str, Any], pair: ModelPair) -> tuple[float, float, float, float]:
    """Return quality of weak and strong, then cost of weak and strong, NaN where unknown."""
    quality = [number_field(row, model, low=0.0, high=1.0) for model in (pair.weak, pair.strong)]
    costs = [
        float("nan")
        if row.get(f"{model}{_COST}") in (None, "")
        else number_field(row, f"{model}{_COST}", low=0.0, high=float("inf"))
        for model in (pair.weak, pair.strong)
    ]
    return quality[0], quality[1], costs[0], costs[1]


def _unwrapped(prompt: str) -> str:
    """Return the text of a prompt that RouterBench wrote as a Python list of texts."""
    if not prompt.startswith("["):
        return prompt
    try:
        parts = ast.literal_eval(prompt)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return prompt
    if isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    return prompt


def _only_pair(models: tuple[str, ...], quality: Any) -> ModelPair:
    from routellm_core.types import ModelPair

    if len(models) != 2:
        raise ConfigurationError(
            f"The table has {len(models)} models: name a strong and a weak one of "
            f"{', '.join(models)}."
        )
    first, second = np.nanmean(quality, axis=0)
    weak, strong = (models[0], models[1]) if second >= first else (models[1], models[0])
    return ModelPair(strong=strong, weak=weak)


def _pair_of(models: tuple[str, ...]) -> ModelPair:
    from routellm_core.types import ModelPair

    return ModelPair(strong=models[0], weak=models[1])


def _domains(path: Path) -> dict[str, str]:
    """Return the domain of each prompt that has one; bad rows were reported before."""
    found = {}
    for _, row in numbered_rows(path):
        if isinstance(row, DataError) or row.get("domain") in (None, ""):
            continue
        with suppress(DataError):
            found[prompt_field(row)] = str(row["domain"])
    return found
