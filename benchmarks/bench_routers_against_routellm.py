"""Time the routers beside RouteLLM 0.2.0, in one process and on the same inputs.

    pip download routellm==0.2.0 --no-deps && unzip routellm-0.2.0-py3-none-any.whl -d ROUTELLM
    pip install scikit-learn pandas torch transformers
    PYTHONPATH=ROUTELLM:tests python benchmarks/bench_routers_against_routellm.py

RouteLLM's calls to OpenAI are answered from a table, so that embedding costs neither side anything.
Without RouteLLM on the path, only our side is timed.
"""

from __future__ import annotations

import json
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tiny_checkpoints import published_mf, tiny_bert

from routellm_core import load_router

BATTLES, DIMENSION, MODELS = 65_000, 1536, 60
BATCH = 64
VECTORS: dict[str, Any] = {}


class Table:
    """Look embeddings up, for both sides."""

    identity = "table"

    def embed(self, texts: Any) -> np.ndarray:
        """Return the vectors of texts that are in the table."""
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)


def stub_services(data: dict[str, Any]) -> None:
    def create(input: list[str], **_: Any) -> Any:  # noqa: A002
        rows = [types.SimpleNamespace(embedding=VECTORS[text]) for text in input]
        return types.SimpleNamespace(data=rows)

    openai = types.ModuleType("openai")
    embeddings = types.SimpleNamespace(create=create)
    openai.OpenAI = lambda *_, **__: types.SimpleNamespace(embeddings=embeddings)  # type: ignore[attr-defined]
    datasets = types.ModuleType("datasets")
    datasets.load_dataset = lambda name, **_: data[name]  # type: ignore[attr-defined]
    datasets.concatenate_datasets = lambda parts: parts[0]  # type: ignore[attr-defined]
    sys.modules.update(openai=openai, datasets=datasets)


def median_s(work: Callable[[], object], *, times: int) -> float:
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def arena() -> tuple[list[dict[str, Any]], np.ndarray]:
    rng = np.random.default_rng(0)
    # The strong model is the best of all and the weak one in the middle, so in different tiers.
    strength = np.sort(rng.normal(size=MODELS))[::-1]
    strength[[1, MODELS // 2]] = strength[[MODELS // 2, 1]]
    names = ["gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"]
    names += [f"model-{number}" for number in range(MODELS - 2)]
    a = rng.integers(0, MODELS, BATTLES)
    b = (a + rng.integers(1, MODELS, BATTLES)) % MODELS
    wins = rng.random(BATTLES) < 1.0 / (1.0 + np.exp(strength[b] - strength[a]))
    ties = rng.random(BATTLES) < 0.2
    rows = [
        {
            "model_a": names[a[i]],
            "model_b": names[b[i]],
            "prompt": json.dumps([f"a prompt of battle {i}"]),
            "winner_model_a": int(wins[i] and not ties[i]),
            "winner_model_b": int(not wins[i] and not ties[i]),
            "winner_tie": int(ties[i]),
        }
        for i in range(BATTLES)
    ]
    embeddings = rng.normal(size=(BATTLES, DIMENSION)) + rng.normal(size=DIMENSION)
    return rows, embeddings


def bench_sw_ranking(theirs: Any) -> dict[str, float]:
    rows, embeddings = arena()
    rng = np.random.default_rng(1)
    prompts = [f"query {number}" for number in range(BATCH)]
    centre = embeddings.mean(axis=0)
    VECTORS.update({prompt: rng.normal(size=DIMENSION) + centre for prompt in prompts})
    result: dict[str, float] = {}
    if theirs is not None:
        import pandas as pd

        frame = types.SimpleNamespace(
            to_pandas=lambda: pd.DataFrame(rows), to_dict=lambda: {"embeddings": embeddings}
        )
        stub_data["battles"] = stub_data["embeddings"] = frame
        router = theirs.SWRankingRouter(["battles"], ["embeddings"])
        result["routellm_s"] = median_s(
            lambda: router.calculate_strong_win_rate(prompts[0]), times=3
        )
        expected = float(router.calculate_strong_win_rate(prompts[0]))
        del router
    ours = load_router("sw_ranking", battles=rows, embeddings=embeddings, embedder=Table())
    if theirs is not None:
        result["difference"] = abs(ours.win_rate(prompts[0]) - expected)
    result["single_s"] = median_s(lambda: ours.win_rate(prompts[0]), times=15)
    result["batch_s_per_prompt"] = median_s(lambda: ours.win_rates(prompts), times=5) / BATCH
    return result


def bench_mf(theirs: Any, folder: Path) -> dict[str, float]:
    checkpoint = published_mf(folder / "mf", dim=128, text_dim=DIMENSION)
    VECTORS["mf"] = np.random.default_rng(2).normal(size=DIMENSION).tolist()
    result: dict[str, float] = {}
    if theirs is not None:
        router = theirs.MatrixFactorizationRouter(str(checkpoint))
        result["routellm_s"] = median_s(lambda: router.calculate_strong_win_rate("mf"), times=300)
    # Both sides get the embedding in the form that costs them least to look up.
    vector = np.array([VECTORS["mf"]], dtype=np.float32)
    embedder = types.SimpleNamespace(identity="fixed", embed=lambda _: vector)
    ours = load_router("mf", checkpoint=checkpoint, embedder=embedder)
    result["single_s"] = median_s(lambda: ours.win_rate("mf"), times=2000)
    return result


def bench_bert(folder: Path) -> dict[str, float]:
    router = load_router("bert", checkpoint=tiny_bert(folder / "bert"), device="cpu")
    words = [
        "what",
        "is",
        "the",
        "capital",
        "of",
        "france",
        "prove",
        "infinitely",
        "many",
        "primes",
    ]
    rng = np.random.default_rng(3)
    prompts = [" ".join(rng.choice(words, rng.integers(4, 30))) for _ in range(128)]
    one_by_one = median_s(lambda: [router.win_rate(prompt) for prompt in prompts], times=3)
    batched = median_s(lambda: router.win_rates(prompts), times=3)
    return {"one_by_one_s": one_by_one / 128, "batch_s_per_prompt": batched / 128}


def bench_knn() -> dict[str, float]:
    from routellm_core import ModelPair
    from routellm_core.routers.similarity import CosineIndex

    rng = np.random.default_rng(4)
    VECTORS["knn"] = rng.normal(size=384)
    router = load_router(
        "knn",
        index=CosineIndex.of(rng.standard_normal((100_000, 384), dtype=np.float32)),
        quality=rng.random((100_000, 2)),
        k=40,
        embedder=Table(),
        models=["strong", "weak"],
        pair=ModelPair("strong", "weak"),
    )
    return {"single_s": median_s(lambda: router.win_rate("knn"), times=50)}


stub_data: dict[str, Any] = {}


def main() -> None:
    warnings.simplefilter("ignore")
    stub_services(stub_data)
    try:
        from routellm.routers import routers as theirs
    except ImportError:
        theirs = None
    with TemporaryDirectory() as work:
        figures = {
            "mf": bench_mf(theirs, Path(work)),
            "bert": bench_bert(Path(work)),
            "knn": bench_knn(),
            "sw_ranking": bench_sw_ranking(theirs),
        }
    sw, mf, bert = figures["sw_ranking"], figures["mf"], figures["bert"]
    if theirs is not None:
        sw["times_single"] = sw["routellm_s"] / sw["single_s"]
        sw["times_batch"] = sw["routellm_s"] / sw["batch_s_per_prompt"]
        mf["times_single"] = mf["routellm_s"] / mf["single_s"]
    bert["times_batch"] = bert["one_by_one_s"] / bert["batch_s_per_prompt"]
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
