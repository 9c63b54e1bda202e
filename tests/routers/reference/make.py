"""Compute the numbers of RouteLLM 0.2.0 that the parity tests compare with.

    pip download routellm==0.2.0 --no-deps && unzip routellm-0.2.0-py3-none-any.whl -d ROUTELLM
    pip install torch transformers scikit-learn pandas
    PYTHONPATH=ROUTELLM:tests python tests/routers/reference/make.py

RouteLLM calls OpenAI for embeddings, loads data sets from the Hub and its language model to a GPU.
Those calls are replaced; everything that makes a number is RouteLLM's.
"""

import datetime
import importlib.metadata
import json
import sys
import types
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HERE = Path(__file__).parent
PROMPTS = [
    "hello how do you do",
    "prove that there are infinitely many primes",
    "what is the capital of france",
    "write a poem about quantum entanglement and then translate that poem to german",
    "sort list in python",
    "Unknown words, punctuation! 1 + 1 = ?",
    "explain " * 40,
    "a",
]
TABLE: dict[str, list[float]] = {}


class Embeddings:
    def create(self, input, model):  # noqa: A002
        return types.SimpleNamespace(
            data=[types.SimpleNamespace(embedding=TABLE[text]) for text in input]
        )


class DataSet:
    def __init__(self, frame):
        self.frame = frame

    def to_pandas(self):
        return self.frame

    def to_dict(self):
        return {"embeddings": self.frame}


def replace_services():
    openai = types.ModuleType("openai")
    openai.OpenAI = lambda *_, **__: types.SimpleNamespace(embeddings=Embeddings())
    sys.modules["openai"] = openai
    datasets = types.ModuleType("datasets")
    datasets.load_dataset = lambda name, split: DataSet(DATA[name])
    datasets.concatenate_datasets = lambda parts: parts[0]
    sys.modules["datasets"] = datasets
    import torch

    for owner in (torch.nn.Module, torch.Tensor):
        original = owner.to

        def to(self, *args, _original=original, **kwargs):
            return _original(self, *("cpu" if arg == "cuda" else arg for arg in args), **kwargs)

        owner.to = to


DATA: dict[str, object] = {}


def provenance():
    packages = ["torch", "transformers", "scikit-learn", "numpy"]
    return {
        "package": "routellm==0.2.0",
        "command": "python tests/routers/reference/make.py",
        "date": datetime.date.today().isoformat(),
        "with": {name: importlib.metadata.version(name) for name in packages},
    }


def arena_world(*, n, m, d, seed):
    import pandas as pd

    rng = np.random.default_rng(seed)
    strength = rng.normal(size=m)
    a = rng.integers(0, m, n)
    b = (a + rng.integers(1, m, n)) % m
    win = rng.random(n) < 1 / (1 + np.exp(strength[b] - strength[a]))
    tie = rng.random(n) < 0.2
    names = [f"model-{number}" for number in range(m)]
    embeddings = np.round(rng.normal(size=(n, d)) + 0.5 * rng.normal(size=d), 4)
    frame = pd.DataFrame(
        {
            "model_a": [names[i] for i in a],
            "model_b": [names[i] for i in b],
            "prompt": [
                json.dumps([f"  {'battle number' if i % 9 else 'no'} {i}", "more"])
                for i in range(n)
            ],
            "winner_model_a": (win & ~tie).astype(int),
            "winner_model_b": (~win & ~tie).astype(int),
            "winner_tie": tie.astype(int),
        }
    )
    return names, frame, embeddings


def sw_ranking(n, m, d, n_tiers, seed):
    from routellm.routers.routers import SWRankingRouter
    from routellm.routers.similarity_weighted.utils import preprocess_battles

    names, frame, embeddings = arena_world(n=n, m=m, d=d, seed=seed)
    rows = frame.to_dict("records")
    kept = preprocess_battles(frame.copy()).index.to_numpy()
    rng = np.random.default_rng(seed + 1)
    TABLE.update({f"prompt {i}": np.round(rng.normal(size=d), 4).tolist() for i in range(8)})
    queries = {name: TABLE[name] for name in (f"prompt {i}" for i in range(8))}
    DATA["battles"], DATA["embeddings"] = frame, embeddings[kept].tolist()
    results = []
    for strong, weak in [(names[0], names[1]), (names[2], names[-1])]:
        router = SWRankingRouter(["battles"], ["embeddings"], strong, weak, num_tiers=n_tiers)
        scores = [float(router.calculate_strong_win_rate(prompt)) for prompt in queries]
        results.append({"strong": strong, "weak": weak, "win_rates": scores})
    return {
        "battles": rows,
        "embeddings": embeddings[kept].tolist(),
        "queries": queries,
        "n_tiers": n_tiers,
        "tiers": router.model2tier,
        "results": results,
    }


def mf(folder, *, use_proj):
    from routellm.routers.routers import MatrixFactorizationRouter
    from tiny_checkpoints import published_mf

    checkpoint = published_mf(folder, use_proj=use_proj)
    text_dim = 12 if use_proj else 8
    rng = np.random.default_rng(9)
    queries = {f"prompt {i}": np.round(rng.normal(size=text_dim), 4).tolist() for i in range(8)}
    TABLE.update(queries)
    results = []
    for pair in [{}, {"strong_model": "claude-2.1", "weak_model": "vicuna-7b"}]:
        router = MatrixFactorizationRouter(
            str(checkpoint), hidden_size=8, text_dim=text_dim, use_proj=use_proj, **pair
        )
        scores = [float(router.calculate_strong_win_rate(prompt)) for prompt in queries]
        results.append({**pair, "win_rates": scores})
    return {"queries": queries, "results": results}


def bert(folder, *, num_labels):
    from routellm.routers.routers import BERTRouter
    from tiny_checkpoints import tiny_bert

    router = BERTRouter(str(tiny_bert(folder, num_labels=num_labels)), num_labels=num_labels)
    return {prompt: float(router.calculate_strong_win_rate(prompt)) for prompt in PROMPTS}


def causal_llm(folder, *, label_bias, dtype):
    """RouteLLM asks for bfloat16; in float32, its numbers are the same on every processor."""
    import routellm.routers.routers as module
    import torch
    from routellm.routers.causal_llm import llm_utils
    from tiny_checkpoints import tiny_llama
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = tiny_llama(folder, label_bias=label_bias, with_labels=False)
    module.hf_hub_download = lambda repo_id, filename: str(Path(repo_id) / filename)
    llm_utils.AutoTokenizer = types.SimpleNamespace(
        from_pretrained=lambda _, **options: AutoTokenizer.from_pretrained(checkpoint, **options)
    )
    llm_utils.AutoModelForCausalLM = types.SimpleNamespace(
        from_pretrained=lambda name, **options: AutoModelForCausalLM.from_pretrained(
            name, **{**options, "torch_dtype": getattr(torch, dtype)}
        )
    )
    router = module.CausalLLMRouter(str(checkpoint))
    return {prompt: float(router.calculate_strong_win_rate(prompt)) for prompt in PROMPTS}


def main():
    warnings.simplefilter("ignore")
    replace_services()
    with TemporaryDirectory() as work:
        folder = Path(work)
        numbers = {
            "sw_ranking": {
                "small": sw_ranking(n=160, m=12, d=6, n_tiers=10, seed=4),
                "few_tiers": sw_ranking(n=90, m=7, d=4, n_tiers=3, seed=5),
            },
            "mf": {
                "projected": mf(folder / "mf", use_proj=True),
            },
            "bert": {
                "3": bert(folder / "bert3", num_labels=3),
                "2": bert(folder / "bert2", num_labels=2),
            },
            "causal_llm": {
                f"{bias}-{dtype}": causal_llm(
                    folder / f"causal{bias}", label_bias=bias, dtype=dtype
                )
                for bias, dtype in ((3.0, "bfloat16"), (3.0, "float32"), (1.2, "float32"))
            },
        }
    for name, content in numbers.items():
        text = json.dumps({"provenance": provenance(), **content}, indent=1)
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
