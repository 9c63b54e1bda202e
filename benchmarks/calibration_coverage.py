"""How often a 95 % interval of a calibrated share holds the true share.

For continuous and for tied scores, 2,000 simulated calibrations each: draw n scores, take the
threshold for a share, and look whether the interval holds the share that the threshold has under
the distribution that the scores were drawn from.

    python benchmarks/calibration_coverage.py [--runs 2000] [--seed 0]
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from routellm_core.calibration import calibrate_share

SHARES = (0.1, 0.3, 0.5, 0.7)
SIZES = (200, 1000, 5000)


@dataclass(frozen=True)
class Scores:
    """A distribution of win rates."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    survival: Callable[[float], float]
    """The share at or above a threshold."""


def tied(weights: list[float]) -> Scores:
    probabilities = np.array(weights) / np.sum(weights)
    values = np.linspace(0.0, 1.0, len(weights))
    return Scores(
        lambda rng, n: rng.choice(values, size=n, p=probabilities),
        lambda t: float(probabilities[values >= t].sum()),
    )


DISTRIBUTIONS = {
    "uniform": Scores(lambda rng, n: rng.random(n), lambda t: 1.0 - t),
    # Win rates of a real router bunch: the cube of a uniform number.
    "skewed": Scores(lambda rng, n: rng.random(n) ** 3, lambda t: 1.0 - t ** (1.0 / 3.0)),
    "6 values": tied([15, 25, 20, 18, 12, 10]),
    "11 values (kNN of 10)": tied([5, 8, 10, 12, 14, 14, 12, 9, 7, 5, 4]),
    # The asked shares are exactly those that a value has, or half way between two of them: there a
    # coin decides which value is taken.
    "exactly a value's": tied([30, 20, 20, 20, 10]),
    "half way": tied([20, 20, 20, 20, 20]),
    "half tied": Scores(
        lambda rng, n: np.where(rng.random(n) < 0.5, 0.5, rng.random(n)),
        lambda t: 0.5 * (1.0 - t) + 0.5 * (t <= 0.5),
    ),
}


def coverage(scores: Scores, *, n: int, share: float, runs: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(runs):
        found = calibrate_share(scores.draw(rng, n), strong_share=share)
        hits += found.interval.low <= scores.survival(found.threshold) <= found.interval.high
    return hits / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'scores':24}{'n':>6}" + "".join(f"{share:>8.0%}" for share in SHARES))
    for name, scores in DISTRIBUTIONS.items():
        for n in SIZES:
            found = [
                coverage(scores, n=n, share=share, runs=options.runs, seed=options.seed)
                for share in SHARES
            ]
            print(f"{name:24}{n:>6}" + "".join(f"{value:>8.1%}" for value in found), flush=True)


if __name__ == "__main__":
    main()
