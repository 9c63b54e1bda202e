"""What a benchmark is, whatever file it comes from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.types import ModelPair

__all__ = ["Benchmark", "LoadedBenchmark", "contaminated_prompts", "without"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBenchmark:
    """n prompts that both models of a pair answered.

    Parameters
    ----------
    name
        The benchmark's name.
    pair
        Whose answers were judged.
    prompts
        The text that is routed, one per row; texts may repeat.
    weak, strong
        Quality of the answers, shape (n,), higher is better.
    domains
        Which part of the benchmark each row belongs to, n names.
    quality_range
        The lowest and the highest quality that there can be.
    weak_cost, strong_cost
        US dollars of each call, shape (n,); None where they are not known.
    n_removed
        How many rows were left out as contaminated.
    faults
        What is known to be wrong with a domain, by its name.
    lengths
        Characters of each prompt, shape (n,), where the prompts themselves are not at hand.
    """

    name: str
    pair: ModelPair
    prompts: tuple[str, ...]
    weak: NDArray[np.float64]
    strong: NDArray[np.float64]
    domains: tuple[str, ...]
    quality_range: tuple[float, float] = (0.0, 1.0)
    weak_cost: NDArray[np.float64] | None = None
    strong_cost: NDArray[np.float64] | None = None
    n_removed: int = 0
    faults: Mapping[str, str] = field(default_factory=dict)
    lengths: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.prompts)
        if n == 0:
            raise DataError(f"Benchmark {self.name!r} has no prompts.")
        if (self.weak_cost is None) != (self.strong_cost is None):
            raise ConfigurationError("A benchmark has the costs of both models, or of neither.")
        for name in ("weak", "strong", "weak_cost", "strong_cost", "lengths"):
            values = getattr(self, name)
            if values is not None:
                self._check(name, values, n=n)
        if len(self.domains) != n:
            raise ConfigurationError(f"`domains` must be {n} names, got {len(self.domains)}.")

    def _check(self, name: str, values: NDArray[np.float64], *, n: int) -> None:
        if values.shape != (n,):
            raise ConfigurationError(
                f"`{name}` must be {n} finite numbers, got shape {values.shape}."
            )
        is_quality = name in ("weak", "strong")
        low, high = self.quality_range if is_quality else (0.0, math.inf)
        bad = bad_number(values, low=low, high=high)
        if bad:
            accepted = f"lie in [{low:g}, {high:g}]" if is_quality else "be finite and at least 0"
            raise ConfigurationError(
                f"`{name}` of benchmark {self.name!r} must {accepted}, got {bad}."
            )

    def __len__(self) -> int:
        return len(self.prompts)

    def prompt_lengths(self) -> NDArray[np.float64]:
        """Return the characters of each prompt: (n,)."""
        if self.lengths is not None:
            return self.lengths
        return np.array([len(prompt) for prompt in self.prompts], dtype=np.float64)

    def checksum(self) -> str:
        """Return the SHA-256 of the prompts and the outcomes, in order."""
        digest = sha256()
        for prompt in self.prompts:
            encoded = prompt.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        for values in (self.weak, self.strong):
            digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        return digest.hexdigest()

    def with_call_costs(self, *, weak: float, strong: float) -> LoadedBenchmark:
        """Return the benchmark with one cost for every call of each model, in US dollars."""
        n = len(self)
        return replace(self, weak_cost=np.full(n, weak), strong_cost=np.full(n, strong))


class Benchmark(ABC):
    """Read a benchmark from where it is kept.

    To add one: subclass, set `name`, implement `load`, and register the class under the entry
    point group "routellm.benchmarks".
    """

    name: ClassVar[str]
    """The name under which the benchmark is registered."""

    @abstractmethod
    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read the benchmark.

        Parameters
        ----------
        path
            The file or folder that holds it.
        pair
            Whose answers to read; by default the pair that the benchmark is about, if there is one.

        Raises
        ------
        DataError
            If something is missing or damaged.
        UnknownModelError
            If the benchmark has no answers of a model.
        """


def contaminated_prompts(path: Path) -> set[str]:
    """Return the benchmark prompts that a list in RouteLLM's format names.

    Parameters
    ----------
    path
        JSON lines with a field `eval_prompt`; a file that is not there names none.

    Raises
    ------
    DataError
        If a line is something else.
    """
    if not path.is_file():
        return set()
    found = set()
    for line, row in numbered_rows(path):
        prompt = None if isinstance(row, DataError) else row.get("eval_prompt")
        if not isinstance(prompt, str):
            raise DataError(f"{str(path)!r}, line {line}: no text `eval_prompt`.")
        found.add(prompt)
    return found


def without(rows: list[Any], removed: list[bool]) -> list[Any]:
    """Return the rows that are not removed."""
    return [row for row, out in zip(rows, removed, strict=True) if not out]
