"""Train on a part of a benchmark's outcomes and score the rest, five times over.

    python benchmarks/own_data_folds.py FOLDER_OF_CSV_FILES --strong MODEL --weak MODEL

Each file has a column `prompt` and one of each model's correctness: RouteLLM's format for MMLU.
Every prompt is scored by the one of five routers that did not see it; equal prompts share a fold.
What is measured is how well a router learns one's own traffic, not how it transfers to other data.
With `--routers bert causal_llm`, `--encoder` and `--decoder` name the models to fine-tune.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from trainer_options import add_tuning_arguments, options_for

from routellm_core import ModelPair
from routellm_core.data import read_outcomes
from routellm_core.embedders import load_embedder
from routellm_core.evaluation.metrics import apgr, apgr_grid, apgr_of, bootstrap_interval
from routellm_core.training import TRAINERS


def rows_of(folder: Path, models: tuple[str, str]) -> dict[str, dict[str, float]]:
    """Return the mean correctness of each model on each prompt."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                cell = found.setdefault(row["prompt"], {model: [] for model in models})
                for model in models:
                    cell[model].append(float(row[model].lower() == "true"))
    return {p: {m: float(np.mean(v)) for m, v in cell.items()} for p, cell in found.items()}


class Remembered:
    """Embed every prompt once for all folds."""

    def __init__(self, name: str, prompts: list[str]) -> None:
        inner = load_embedder(name)
        self.identity: Any = getattr(inner, "identity", None)
        self._known = dict(zip(prompts, inner.embed(prompts), strict=True))

    def embed(self, texts: Any) -> np.ndarray:
        """Return the vectors of known prompts."""
        return np.stack([self._known[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strong", default="gpt-4-1106-preview")
    parser.add_argument("--weak", default="mistralai/Mixtral-8x7B-Instruct-v0.1")
    parser.add_argument("--embedder", default="bundled")
    parser.add_argument("--routers", nargs="+", default=["mlp", "mf", "knn", "cluster"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, help="prompts to train on, of those of four folds")
    add_tuning_arguments(parser)
    arguments = parser.parse_args()
    table = rows_of(arguments.folder, (arguments.strong, arguments.weak))
    prompts = list(table)
    strong = np.array([table[prompt][arguments.strong] for prompt in prompts])
    weak = np.array([table[prompt][arguments.weak] for prompt in prompts])
    tuned_only = set(arguments.routers) <= {"bert", "causal_llm"}
    embedder = None if tuned_only else Remembered(arguments.embedder, prompts)
    folds = np.random.default_rng(arguments.seed).permutation(len(prompts)) % 5
    for name in arguments.routers:
        scores = np.zeros(len(prompts))
        for fold in range(5):
            held = np.flatnonzero(folds == fold)
            seen = np.random.default_rng(fold).permutation(np.flatnonzero(folds != fold))
            seen = np.sort(seen[: arguments.rows])
            rows = [
                {"prompt": prompts[row], "model": model, "quality": quality}
                for row in seen
                for model, quality in table[prompts[row]].items()
            ]
            router = TRAINERS[name](
                read_outcomes(rows),
                pair=ModelPair(arguments.strong, arguments.weak),
                seed=arguments.seed,
                **options_for(name, arguments, embedder),
            ).router
            scores[held] = router.win_rates([prompts[row] for row in held])
        interval = bootstrap_interval(apgr_of(scores, weak=weak, strong=strong), n=len(prompts))
        figures = {
            "router": name,
            "n": len(prompts),
            "apgr": round(apgr(scores, weak=weak, strong=strong), 4),
            "apgr_grid10": round(apgr_grid(scores, weak=weak, strong=strong), 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
        }
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
