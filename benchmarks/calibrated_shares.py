"""How far a calibrated share is off on prompts that the calibration has not seen.

Splits a benchmark's prompts in random halves, each with half of every domain, takes the threshold
for a share from one half, and reads the share off the other, many times.

    python benchmarks/calibrated_shares.py mmlu=FOLDER [--router mf] [--splits 200] [--seed 0]
"""

import argparse

import numpy as np

from routellm_core import load_router
from routellm_core.calibration import calibrate_share
from routellm_core.evaluation import load_benchmark
from routellm_core.evaluation.measure import halves

SHARES = (0.1, 0.3, 0.5, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", metavar="NAME=PATH")
    parser.add_argument("--router", default="mf")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    name, _, path = options.benchmark.partition("=")
    benchmark = load_benchmark(name, path)
    scores = load_router(options.router).win_rates(benchmark.prompts)
    print(f"{'asked':>6}{'mean |off|':>12}{'95 %':>8}{'worst':>8}{'within 2 points':>17}")
    errors = np.empty((options.splits, len(SHARES)))
    for split, row in enumerate(errors):
        first, second = halves(benchmark.domains, seed=options.seed + split)
        for column, share in enumerate(SHARES):
            target = calibrate_share(scores[first], strong_share=share)
            row[column] = 100.0 * abs((scores[second] >= target.threshold).mean() - share)
    for share, column in zip(SHARES, errors.T, strict=True):
        print(
            f"{share:>6.0%}{column.mean():>12.2f}{np.quantile(column, 0.95):>8.2f}"
            f"{column.max():>8.2f}{(column <= 2.0).mean():>17.1%}"
        )


if __name__ == "__main__":
    main()
