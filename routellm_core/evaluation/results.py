"""Results as a file: every figure, and all that is needed to compute each of them again."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._validation import validation_faults
from routellm_core.errors import DataError
from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
from routellm_core.evaluation.contamination import Overlap
from routellm_core.evaluation.figures import Baseline, Measurement
from routellm_core.evaluation.measure import baselines, measure
from routellm_core.evaluation.robustness import Robustness, robustness
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FORMAT_VERSION",
    "BenchmarkResults",
    "Environment",
    "Mismatch",
    "Results",
    "RouterResults",
    "Verification",
    "read_results",
    "verify",
    "write_results",
]

FORMAT_VERSION = 1

_RELATIVE = 1e-9
_ABSOLUTE = 1e-12


@dataclass(frozen=True, slots=True)
class Environment:
    """What the figures were computed with."""

    routellm_plugins: str
    numpy: str
    python: str
    machine: str
    command: str

    @classmethod
    def here(cls, command: str = "") -> Environment:
        """Describe this process."""
        return cls(
            routellm_plugins=version("routellm-plugins"),
            numpy=np.__version__,
            python=platform.python_version(),
            machine=platform.machine(),
            command=command,
        )


@dataclass(frozen=True, slots=True)
class RouterResults:
    """One router on one benchmark.

    Parameters
    ----------
    label
        What the report calls it.
    router
        Its registered name.
    checksum
        Of its checkpoint; None when it cannot be saved.
    scores
        The win rates of the benchmark's prompts before the router's scale, in its order.
    prompts_per_second
        Throughput of the scoring; None when all scores came from the cache.
    measurement
        The figures.
    scale
        Pairs (raw win rate, percentile) that the router's thresholds stand on; None for a router
        without a scale.
    robustness
        What changes of the prompts' words do to it; empty when it was not asked for.
    """

    label: str
    router: str
    checksum: str | None
    scores: tuple[float, ...]
    prompts_per_second: float | None
    measurement: Measurement
    scale: tuple[tuple[float, float], ...] | None = None
    robustness: tuple[Robustness, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchmarkResults:
    """All routers on one benchmark, with the outcomes that the figures come from."""

    name: str
    checksum: str
    strong_model: str
    weak_model: str
    n: int
    n_removed: int
    quality_range: tuple[float, float]
    weak: tuple[float, ...]
    strong: tuple[float, ...]
    weak_cost: tuple[float, ...] | None
    strong_cost: tuple[float, ...] | None
    domain_names: tuple[str, ...]
    domains: tuple[int, ...]
    prompt_lengths: tuple[float, ...]
    faults: dict[str, str]
    baselines: tuple[Baseline, ...]
    routers: tuple[RouterResults, ...]
    overlap: Overlap | None = None

    def benchmark(self) -> LoadedBenchmark:
        """Return the outcomes as a benchmark whose prompts are blank."""
        return LoadedBenchmark(
            name=self.name,
            pair=ModelPair(strong=self.strong_model, weak=self.weak_model),
            prompts=("",) * self.n,
            weak=np.array(self.weak),
            strong=np.array(self.strong),
            domains=tuple(self.domain_names[index] for index in self.domains),
            quality_range=self.quality_range,
            weak_cost=None if self.weak_cost is None else np.array(self.weak_cost),
            strong_cost=None if self.strong_cost is None else np.array(self.strong_cost),
            n_removed=self.n_removed,
            faults=self.faults,
            lengths=np.array(self.prompt_lengths),
        )


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one evaluation found."""

    format_version: int
    rounds: int
    seed: int
    environment: Environment
    benchmarks: tuple[BenchmarkResults, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stored figure that comes out otherwise.

    Parameters
    ----------
    where
        Its place, as "mmlu / mf / apgr / value".
    stored, computed
        What the file says, and what comes out.
    """

    where: str
    stored: str
    computed: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What recomputing a file of results found.

    Parameters
    ----------
    n_figures
        How many figures were computed again.
    mismatches
        Those that differ by more than rounding.
    """

    n_figures: int
    mismatches: tuple[Mismatch, ...]


def write_results(results: Results, path: str | Path) -> Path:
    """Write results as JSON and return the path."""
    text = json.dumps(asdict(results), allow_nan=False, ensure_ascii=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_results(path: str | Path) -> Results:
    """Read results.

    Raises
    ------
    DataError
        If the file is missing, or holds something else.
    """
    from pydantic import TypeAdapter, ValidationError

    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    try:
        results = TypeAdapter(Results).validate_json(raw)
    except ValidationError as error:
        raise DataError(f"{str(path)!r} holds no results. {validation_faults(error)[0]}") from error
    if results.format_version != FORMAT_VERSION:
        raise DataError(
            f"{str(path)!r} has format version {results.format_version}, and this release reads "
            f"version {FORMAT_VERSION}."
        )
    return results


def verify(results: Results) -> Verification:
    """Compute every figure again from the stored scores and outcomes.

    Throughput depends on the machine and is not looked at.
    """
    n_figures = 0
    mismatches: list[Mismatch] = []
    for stored in results.benchmarks:
        benchmark = stored.benchmark()
        pairs: list[tuple[str, object, object]] = [
            (f"{stored.name} / baselines", stored.baselines, baselines(benchmark))
        ]
        for router in stored.routers:
            computed = measure(
                np.array(router.scores),
                benchmark,
                scale=None if router.scale is None else np.array(router.scale),
                rounds=results.rounds,
                seed=results.seed,
            )
            pairs.append((f"{stored.name} / {router.label}", router.measurement, computed))
            for row in router.robustness:
                again = robustness(
                    row.change,
                    np.array(row.before),
                    np.array(row.after),
                    benchmark=np.array(router.scores),
                )
                pairs.append((f"{stored.name} / {router.label} / {row.change}", row, again))
        for where, old, new in pairs:
            for place, before, after in _figures(where, _plain(old), _plain(new)):
                n_figures += 1
                if not _same(before, after):
                    mismatches.append(Mismatch(place, repr(before), repr(after)))
    return Verification(n_figures, tuple(mismatches))


def _plain(value: object) -> Any:
    """Return dataclasses as mappings, all the way down."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value  # type: ignore[call-overload]


def _figures(where: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield every leaf of two structures with its place; one that only one has pairs with None."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _figures(f"{where} / {key}", old.get(key), new.get(key))
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _figures(f"{where} / {index}", before, after)
    else:
        yield where, old, new


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return math.isclose(before, after, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(before == after)
