"""Read prompts and outcomes for the bundled router, and keep benchmarks out of them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders._words import words_of
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "Source",
    "benchmark_prompts",
    "read_gold",
    "read_sources",
    "task_group",
    "without_overlap",
]

_OPTIONS = re.compile(r"\n\(?A[.)]|Answer Choices:|\nOptions:")
_SHINGLE = 6
_NEAR = 0.7
_GROUPS = (
    ("school_maths", r"gsm8k|aqua|sat_math|^business$"),
    ("hard_maths", r"math"),
    ("code", r"human_?eval|mbpp|^computer science$"),
    ("factoid", r"trivia_qa|natural_qa"),
    ("commonsense", r"piqa|social_iqa|winogra|commonsense"),
    ("school_science", r"arc_|openbook"),
    ("science", r"gpqa|biology|chemistry|physics|engineering"),
    ("knowledge", r"^mmlu$|psychology|economics|sat_en"),
    ("logic", r"logi|lsat|bbh"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The outcomes of one collection: n prompts, m models.

    Parameters
    ----------
    name
        Of the collection.
    prompts
        n texts.
    tasks
        Each prompt's task, as the collection names it.
    models
        m names.
    quality
        Shape (n, m), in [0, 1]; NaN where a model did not answer.
    may_ship
        Whether weights fitted to it may be given away.
    """

    name: str
    prompts: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    quality: NDArray[np.float64]
    may_ship: bool

    @property
    def groups(self) -> NDArray[np.str_]:
        """Each prompt's task group: shape (n,)."""
        return np.array([task_group(task) for task in self.tasks])

    def select(self, mask: NDArray[np.bool_]) -> Source:
        """Return some of the prompts."""
        kept = np.flatnonzero(mask)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in kept),
            tasks=tuple(self.tasks[i] for i in kept),
            quality=self.quality[kept],
        )

    def without_models(self, dropped: Iterable[str]) -> Source:
        """Return the source without some models' outcomes."""
        kept = [i for i, model in enumerate(self.models) if model not in set(dropped)]
        return replace(
            self, models=tuple(self.models[i] for i in kept), quality=self.quality[:, kept]
        )


def task_group(task: str) -> str:
    """Return the kind of work that a task is; "generation" for what is none of the others.

    Examples
    --------
    >>> task_group("agieval_math"), task_group("gsm8k")
    ('hard_maths', 'school_maths')
    """
    lowered = task.lower()
    return next((group for group, pattern in _GROUPS if re.search(pattern, lowered)), "generation")


def read_sources(folder: Path) -> list[Source]:
    """Read `prompts.parquet` and `outcomes.parquet`, one `Source` for each collection, by name.

    Raises
    ------
    DataError
        If a file is missing or lacks a column.
    MissingDependencyError
        If pyarrow is not installed.
    """
    prompts = _columns(
        folder / "prompts.parquet", ["prompt_id", "source", "task", "prompt", "may_ship"]
    )
    outcomes = _columns(folder / "outcomes.parquet", ["prompt_id", "model", "quality"])
    row_of = {prompt_id: row for row, prompt_id in enumerate(prompts["prompt_id"])}
    rows = np.array([row_of.get(prompt_id, -1) for prompt_id in outcomes["prompt_id"]])
    if (rows < 0).any():
        raise DataError(f"{int((rows < 0).sum())} outcomes belong to no prompt.")
    source_of = np.array(prompts["source"])
    models_of = np.array(outcomes["model"])
    quality_of = np.array(outcomes["quality"], dtype=np.float64)
    found = []
    for name in sorted(set(prompts["source"])):
        own = np.flatnonzero(source_of == name)
        answers = np.flatnonzero(source_of[rows] == name)
        models = sorted(set(models_of[answers].tolist()))
        place = np.full(len(source_of), -1)
        place[own] = np.arange(len(own))
        quality = np.full((len(own), len(models)), np.nan)
        quality[place[rows[answers]], np.searchsorted(models, models_of[answers])] = quality_of[
            answers
        ]
        found.append(
            Source(
                name=name,
                prompts=tuple(prompts["prompt"][i] for i in own),
                tasks=tuple(prompts["task"][i] for i in own),
                models=tuple(models),
                quality=quality,
                may_ship=all(prompts["may_ship"][i] for i in own),
            )
        )
    return found


def read_gold(folder: Path) -> list[Source]:
    """Read RouteLLM's response files below a folder: every `*.csv`, two models a file.

    The files of one sub-folder make one source, named after it.
    """
    found = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
        prompts: list[str] = []
        tasks: list[str] = []
        quality: list[list[float]] = []
        models: tuple[str, ...] = ()
        for path in sorted(sub.rglob("*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                names = [name for name in reader.fieldnames or [] if name and name != "prompt"]
                models = tuple(name for name in names if not name.endswith("_response"))
                for row in reader:
                    prompts.append(row["prompt"])
                    tasks.append(path.stem)
                    quality.append([float(row[model] == "True") for model in models])
        if prompts:
            found.append(
                Source(
                    sub.name,
                    tuple(prompts),
                    tuple(tasks),
                    models,
                    np.array(quality),
                    may_ship=False,
                )
            )
    return found


def benchmark_prompts(folder: Path) -> list[str]:
    """Return every prompt of the benchmarks below a folder: CSV columns `prompt`, JSONL `turns`."""
    texts: list[str] = []
    for path in sorted(folder.rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            texts += [row["prompt"] for row in csv.DictReader(file)]
    for path in sorted(folder.rglob("question.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        texts += [turn for line in lines for turn in json.loads(line)["turns"]]
    return texts


def without_overlap(
    sources: Sequence[Source], benchmarks: Sequence[str]
) -> tuple[list[Source], dict[str, int]]:
    """Drop prompts that repeat a benchmark's: the same stem, or most of its words in sequence.

    A stem is the text before the options, reduced to its words. Near duplicates share more than
    70 % of the shorter stem's runs of six words.

    Returns
    -------
    The sources, and how many prompts of each were dropped.
    """
    stems = {tuple(_stem(text)) for text in benchmarks}
    shingles = [_shingles(list(stem)) for stem in stems]
    owners: dict[tuple[str, ...], list[int]] = {}
    for index, runs in enumerate(shingles):
        for run in runs:
            owners.setdefault(run, []).append(index)
    kept, dropped = [], {}
    for source in sources:
        mask = np.array([not _repeats(text, stems, shingles, owners) for text in source.prompts])
        dropped[source.name] = int((~mask).sum())
        kept.append(source.select(mask))
    return kept, dropped


def _repeats(
    text: str,
    stems: set[tuple[str, ...]],
    shingles: Sequence[set[tuple[str, ...]]],
    owners: dict[tuple[str, ...], list[int]],
) -> bool:
    words = _stem(text)
    if len(words) > 3 and tuple(words) in stems:
        return True
    runs = _shingles(words)
    shared: dict[int, int] = {}
    for run in runs:
        for index in owners.get(run, ()):
            shared[index] = shared.get(index, 0) + 1
    return any(
        count > _NEAR * min(len(runs), len(shingles[index])) and count >= 3
        for index, count in shared.items()
    )


def _stem(text: str) -> list[str]:
    return words_of(_OPTIONS.split(text, maxsplit=1)[0])


def _shingles(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)}


def _columns(path: Path, names: list[str]) -> dict[str, list[Any]]:
    parquet = require("pyarrow.parquet", extra="eval")
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist.")
    table = parquet.read_table(path)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise DataError(f"{str(path)!r} has no column {missing[0]!r}.")
    return {name: table.column(name).to_pylist() for name in names}
