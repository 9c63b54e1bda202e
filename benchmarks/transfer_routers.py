"""Train routers on other tasks' outcomes, to see what transfers to benchmarks.

Reads a table with one row per prompt: `prompt`, and the mean quality of a weaker and of a stronger
group of models, `weak_quality` and `strong_quality`. Rows without either, and rows whose `may_ship`
is false, are left out. With `--routers bert causal_llm`, `--encoder` and `--decoder` name what to
fine-tune, and `--rows` how many prompts, drawn by the seed, are enough.

    python benchmarks/transfer_routers.py prompts.parquet OUT [--seed 0]
    routellm evaluate -r knn=OUT/knn -r cluster=OUT/cluster -r mlp=OUT/mlp -r mf=OUT/mf \
        -b mmlu=FOLDER -b gsm8k=FOLDER -b mt_bench=FOLDER --out report/
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from trainer_options import add_tuning_arguments, options_for

from routellm_core import DataError, ModelPair
from routellm_core.data import read_outcomes
from routellm_core.data.rows import numbered_rows
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.training import TRAINERS

PAIR = ModelPair(strong="strong group", weak="weak group")
ROUTERS = ("knn", "cluster", "mlp", "mf", "sw_ranking")


def outcome_rows(path: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for _, row in numbered_rows(path):
        if isinstance(row, DataError) or not row.get("may_ship", True):
            continue
        weak, strong = row["weak_quality"], row["strong_quality"]
        if weak is not None and strong is not None:
            rows.append({"prompt": row["prompt"], "model": PAIR.weak, "quality": weak})
            rows.append({"prompt": row["prompt"], "model": PAIR.strong, "quality": strong})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--routers", nargs="+", default=ROUTERS)
    parser.add_argument("--rows", type=int)
    add_tuning_arguments(parser)
    options = parser.parse_args()
    rows = outcome_rows(options.prompts)
    if options.rows is not None:
        # Two rows a prompt.
        drawn = np.random.default_rng(options.seed).permutation(len(rows) // 2)[: options.rows]
        rows = [rows[2 * index + half] for index in sorted(drawn.tolist()) for half in (0, 1)]
    outcomes = read_outcomes(rows)
    print(f"{len(outcomes):,} prompts")
    for name in options.routers:
        began = perf_counter()
        arguments = options_for(name, options, BundledEmbedder())
        found = TRAINERS[name](outcomes, pair=PAIR, seed=options.seed, **arguments)
        found.save(Path(options.out) / name)
        print(f"{name}: {perf_counter() - began:.0f} s, held-out APGR {found.metrics['apgr']:.3f}")


if __name__ == "__main__":
    main()
