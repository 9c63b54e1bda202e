"""MMLU, GSM8K and MT-bench in the formats in which RouteLLM published its responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from routellm_core.data.outcomes import number_field, text_field
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import DataError, UnknownModelError
from routellm_core.evaluation.benchmarks.base import (
    Benchmark,
    LoadedBenchmark,
    contaminated_prompts,
    without,
)
from routellm_core.types import ModelPair

__all__ = ["GSM8K", "MMLU", "PUBLISHED_PAIR", "MTBench"]

PUBLISHED_PAIR = ModelPair(strong="gpt-4-1106-preview", weak="mistralai/Mixtral-8x7B-Instruct-v0.1")
"""The pair of RouteLLM's published responses."""

_CONTAMINATED = "contaminated_prompts.jsonl"
_RESPONSES = "gsm8k_responses.csv"
_QUESTIONS = "question.jsonl"
_JUDGEMENTS = "judgements.jsonl"
_PREFIX = "mmlu_"


class MMLU(Benchmark):
    """Multiple-choice questions of 57 domains: `responses/mmlu_<domain>.csv`.

    Columns: `prompt`, and for each model whether its answer was right.
    """

    name: ClassVar[str] = "mmlu"
    faults: ClassVar[Mapping[str, str]] = {
        "high_school_mathematics": "most answers of gpt-4-1106-preview were mis-parsed as wrong",
        "moral_scenarios": "this domain alone carries much of the gap between the models",
    }

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read every domain's file under `responses/`, leaving out contaminated prompts."""
        folder = Path(path)
        files = sorted((folder / "responses").glob(f"{_PREFIX}*.csv"))
        if not files:
            raise DataError(f"{str(folder / 'responses')!r} holds no {_PREFIX}<domain>.csv.")
        tables = [_Responses.read(file, pair or PUBLISHED_PAIR) for file in files]
        domains = [
            file.stem.removeprefix(_PREFIX)
            for file, table in zip(files, tables, strict=True)
            for _ in table.prompts
        ]
        loaded = _joined(self.name, folder, tables, domains, pair or PUBLISHED_PAIR)
        faults = {name: why for name, why in self.faults.items() if name in loaded.domains}
        return replace(loaded, faults=faults) if loaded.pair == PUBLISHED_PAIR else loaded


class GSM8K(Benchmark):
    """Grade-school word problems: `gsm8k_responses.csv`, with whether each answer was right."""

    name: ClassVar[str] = "gsm8k"

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read the file, leaving out contaminated prompts."""
        folder = Path(path)
        table = _Responses.read(folder / _RESPONSES, pair or PUBLISHED_PAIR)
        domains = [self.name] * len(table.prompts)
        return _joined(self.name, folder, [table], domains, pair or PUBLISHED_PAIR)


class MTBench(Benchmark):
    """Two-turn conversations, judged from 1 to 10: `question.jsonl` and `judgements.jsonl`.

    The first turn is routed, and quality is the mean score of both.
    """

    name: ClassVar[str] = "mt_bench"

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read questions and judgements; a question is left out if either turn is contaminated."""
        folder = Path(path)
        pair = pair or PUBLISHED_PAIR
        scores = _judgements(folder / _JUDGEMENTS)
        known = sorted({model for _, model in scores})
        for model in (pair.strong, pair.weak):
            if model not in known:
                raise UnknownModelError(
                    f"MT-bench has no judgements of {model!r}. It has: {', '.join(known)}."
                )
        contaminated = contaminated_prompts(folder / _CONTAMINATED)
        prompts, domains, weak, strong, n_removed = [], [], [], [], 0
        for line, row in _rows(folder / _QUESTIONS):
            turns = row.get("turns")
            if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                raise DataError(f"{_QUESTIONS}, line {line}: `turns` must be a list of texts.")
            if contaminated.intersection(turns):
                n_removed += 1
                continue
            question = row.get("question_id")
            try:
                weak.append(float(np.mean(scores[question, pair.weak])))
                strong.append(float(np.mean(scores[question, pair.strong])))
            except KeyError:
                raise DataError(f"Question {question!r} was not judged for both models.") from None
            prompts.append(turns[0])
            domains.append(str(row.get("category", self.name)))
        return LoadedBenchmark(
            name=self.name,
            pair=pair,
            prompts=tuple(prompts),
            weak=np.array(weak),
            strong=np.array(strong),
            domains=tuple(domains),
            quality_range=(1.0, 10.0),
            n_removed=n_removed,
        )


class _Responses:
    """A CSV of prompts and whether each model was right."""

    def __init__(self, prompts: list[str], weak: list[float], strong: list[float]) -> None:
        self.prompts, self.weak, self.strong = prompts, weak, strong

    @classmethod
    def read(cls, path: Path, pair: ModelPair) -> _Responses:
        table = cls([], [], [])
        for line, row in _rows(path):
            for model in (pair.strong, pair.weak):
                if model not in row:
                    raise UnknownModelError(
                        f"{str(path)!r} has no answers of {model!r}. Columns: {', '.join(row)}."
                    )
            try:
                table.prompts.append(text_field(row, "prompt"))
                table.weak.append(number_field(row, pair.weak, low=0.0, high=1.0))
                table.strong.append(number_field(row, pair.strong, low=0.0, high=1.0))
            except DataError as error:
                raise DataError(f"{str(path)!r}, line {line}: {error}") from error
        return table


def _joined(
    name: str, folder: Path, tables: list[_Responses], domains: list[str], pair: ModelPair
) -> LoadedBenchmark:
    contaminated = contaminated_prompts(folder / _CONTAMINATED)
    prompts = [prompt for table in tables for prompt in table.prompts]
    weak = [value for table in tables for value in table.weak]
    strong = [value for table in tables for value in table.strong]
    removed = [prompt in contaminated for prompt in prompts]
    return LoadedBenchmark(
        name=name,
        pair=pair,
        prompts=tuple(without(prompts, removed)),
        weak=np.array(without(weak, removed), dtype=np.float64),
        strong=np.array(without(strong, removed), dtype=np.float64),
        domains=tuple(without(domains, removed)),
        n_removed=sum(removed),
    )


def _judgements(path: Path) -> dict[tuple[Any, str], list[float]]:
    """Return the scores of each (question, model), one per turn."""
    scores: dict[tuple[Any, str], list[float]] = {}
    for line, row in _rows(path):
        try:
            model = text_field(row, "model")
            score = number_field(row, "score", low=1.0, high=10.0)
        except DataError as error:
            raise DataError(f"{str(path)!r}, line {line}: {error}") from error
        scores.setdefault((row.get("question_id"), model), []).append(score)
    return scores


def _rows(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """Return every row, and refuse the file for a bad one: a benchmark is whole or not one."""
    rows = []
    for line, row in numbered_rows(path):
        if isinstance(row, DataError):
            raise DataError(f"{str(path)!r}, line {line}: {row}")
        rows.append((line, row))
    if not rows:
        raise DataError(f"{str(path)!r} is empty.")
    return rows
