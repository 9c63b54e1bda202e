"""Every registered router passes every shipped check."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import tiny_bert, tiny_llama

from routellm_core import ModelPair, Router, load_router, router_names
from routellm_core.routers._correction import Correction
from routellm_core.routers.similarity import CosineIndex
from routellm_core.testing import ROUTER_CHECKS, HashingEmbedder

EMBEDDER = HashingEmbedder(dimension=8)
WORDS = ["Hello", "capital of France?", "Prove primes", "def f(x):", "Qual capital", "Prove it"]
OUTCOMES = np.random.default_rng(0).integers(0, 2, (len(WORDS), 3)).astype(float)
QUALITY = {"embedder": EMBEDDER, "models": ["a", "b", "c"], "pair": ModelPair("a", "c")}
BATTLES = [
    {"prompt": word, "model_a": a, "model_b": b, "winner": winner}
    for word, a, b, winner in zip(
        WORDS, "xyzxyz", "yzxzxy", ["model_a", "model_b", "tie"] * 2, strict=True
    )
]


def knn(k: int) -> Router:
    index = CosineIndex.of(EMBEDDER.embed(WORDS))
    return load_router("knn", index=index, quality=OUTCOMES, k=k, **QUALITY)


# One way to make each router, without a network.
CASES: dict[str, Callable[[Path], Router]] = {
    "adapted": lambda _: load_router(
        "adapted",
        prior=load_router("mf"),
        correction=Correction(
            np.full(8, 0.1),
            np.full(8, 0.3),
            np.linspace(-0.1, 0.2, 8),
            bias=0.1,
            length_weight=0.01,
        ),
        embedder=EMBEDDER,
        pair=ModelPair("a", "c"),
    ),
    "bert": lambda folder: load_router("bert", checkpoint=tiny_bert(folder / "bert")),
    "causal_llm": lambda folder: load_router(
        "causal_llm", checkpoint=tiny_llama(folder / "causal_llm"), dtype="float32"
    ),
    "cluster": lambda _: load_router(
        "cluster",
        centres=CosineIndex.of(EMBEDDER.embed(WORDS[:4])),
        table=OUTCOMES[:4],
        **QUALITY,
    ),
    "ensemble": lambda _: load_router(
        "ensemble", members=[knn(2), load_router("random", seed=1), knn(5)], weights=[3, 1, 2]
    ),
    "knn": lambda _: knn(3),
    "mf": lambda _: load_router("mf"),
    "mlp": lambda _: load_router(
        "mlp",
        layers=[(np.eye(8, 4), np.zeros(4)), (np.eye(4, 3), np.full(3, 0.1))],
        **QUALITY,
    ),
    "random": lambda _: load_router("random", seed=5),
    "sw_ranking": lambda _: load_router(
        "sw_ranking", battles=BATTLES, embedder=EMBEDDER, strong_model="x", weak_model="y"
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module", params=sorted(CASES))
def router(request: pytest.FixtureRequest, folder: Path) -> Router:
    return CASES[request.param](folder)


@pytest.mark.parametrize("check", ROUTER_CHECKS, ids=lambda check: check.__name__)
def test_router_keeps_the_contract(router: Router, check: Callable[[Router], None]) -> None:
    check(router)


def test_every_registered_router_has_a_case() -> None:
    assert set(CASES) == set(router_names())


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_registered_router_has_its_section_in_the_docs(name: str) -> None:
    text = (Path(__file__).parent.parent / "docs" / "routers.md").read_text()
    assert f"## `{name}`" in text
