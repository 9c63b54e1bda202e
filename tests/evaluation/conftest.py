"""A small benchmark of our own making."""

from collections.abc import Callable

import numpy as np
import pytest

from routellm_core import ModelPair
from routellm_core.evaluation import LoadedBenchmark


def _make(n: int = 200, *, seed: int = 0, name: str = "small") -> LoadedBenchmark:
    """Return prompts of which the weak model fails more of the later ones."""
    rng = np.random.default_rng(seed)
    hardness = np.arange(n) / n
    return LoadedBenchmark(
        name=name,
        pair=ModelPair(strong="big", weak="small"),
        prompts=tuple(f"Question {index} of {name}?" for index in range(n)),
        weak=(rng.random(n) < 0.9 - 0.6 * hardness) * 1.0,
        strong=(rng.random(n) < 0.9) * 1.0,
        domains=tuple("odd" if index % 2 else "even" for index in range(n)),
        faults={"odd": "made up"},
    )


@pytest.fixture(scope="session")
def make_benchmark() -> Callable[..., LoadedBenchmark]:
    return _make


@pytest.fixture
def small() -> LoadedBenchmark:
    return _make()
