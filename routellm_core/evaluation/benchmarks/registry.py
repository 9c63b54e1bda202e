"""Names of benchmarks, and what they stand for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.evaluation.benchmarks.base import Benchmark

if TYPE_CHECKING:
    from pathlib import Path

    from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
    from routellm_core.types import ModelPair

__all__ = ["ENTRY_POINT_GROUP", "benchmark_class", "benchmark_names", "load_benchmark"]

ENTRY_POINT_GROUP = "routellm.benchmarks"
"""Packages register benchmarks of their own under this group: `name = "module:Class"`."""

_FOLDER = "routellm_core.evaluation.benchmarks"
_BUILT_IN = {
    "answers": f"{_FOLDER}.answer_tables:AnswerTable",
    "gsm8k": f"{_FOLDER}.routellm:GSM8K",
    "mmlu": f"{_FOLDER}.routellm:MMLU",
    "mt_bench": f"{_FOLDER}.routellm:MTBench",
    "outcomes": f"{_FOLDER}.tables:OutcomeTable",
    "routerbench": f"{_FOLDER}.tables:RouterBench",
    "routes": f"{_FOLDER}.routes:RouteLabels",
}

_ROUTELLM_NAMES = {"mt-bench": "mt_bench"}


def benchmark_names() -> list[str]:
    """Return every registered name, sorted: built in, and from installed packages."""
    return sorted({*_BUILT_IN, *_entry_points()})


def benchmark_class(name: str) -> type[Benchmark]:
    """Return the class that a name stands for.

    Raises
    ------
    ConfigurationError
        If nobody registered the name, or a package registered something else under it.
    """
    name = _ROUTELLM_NAMES.get(name, name)
    target = _BUILT_IN.get(name) or _entry_points().get(name)
    if target is None:
        known = benchmark_names()
        raise ConfigurationError(
            f"Unknown benchmark {name!r}.{did_you_mean(name, known)} "
            f"Known benchmarks: {', '.join(known)}."
        )
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Benchmark {name!r} is registered as {target!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Benchmark)):
        raise ConfigurationError(
            f"Benchmark {name!r} is registered as {target!r}, not a `Benchmark`."
        )
    return found


def load_benchmark(
    name: str, path: str | Path, *, pair: ModelPair | None = None
) -> LoadedBenchmark:
    """Read a benchmark by its name; see `Benchmark.load`.

    Raises
    ------
    ConfigurationError
        If nobody registered the name.
    DataError
        If something is missing or damaged.
    """
    return benchmark_class(name)().load(path, pair=pair)


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
