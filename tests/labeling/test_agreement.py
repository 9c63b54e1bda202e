"""Agreement against scikit-learn, against published numbers, and in simulations."""

import math

import numpy as np
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.labeling.agreement import (
    agreement,
    cohen_kappa,
    corrected_rate,
    krippendorff_alpha,
    wilson_interval,
)


@pytest.mark.parametrize("seed", range(10))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, 50).tolist()
    second = [a if rng.random() < 0.6 else int(rng.integers(0, 3)) for a in first]
    expected = metrics.cohen_kappa_score(first, second)
    assert cohen_kappa(first, second).value == pytest.approx(expected)


def test_kappas_interval_covers_the_truth_in_95_percent_of_simulations() -> None:
    rng = np.random.default_rng(0)
    share, noise = 0.4, 0.2
    # Both rates of yes: the judge's is .4 * .8 + .6 * .2.
    said = share * (1 - noise) + (1 - share) * noise
    chance = share * said + (1 - share) * (1 - said)
    truth = (1 - noise - chance) / (1 - chance)
    covered = 0
    for _ in range(1000):
        people = rng.random(200) < share
        judge = people ^ (rng.random(200) < noise)
        found = cohen_kappa(people.tolist(), judge.tolist())
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_kappa_of_one_label_is_unknown() -> None:
    assert math.isnan(cohen_kappa("yy", "yy").value)


def test_alpha_is_that_of_krippendorffs_example() -> None:
    # Computing Krippendorff's alpha-reliability, 2011, section C: .743 nominal, .849 interval.
    nan = np.nan
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    assert krippendorff_alpha(ratings) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(ratings, level="interval") == pytest.approx(0.849, abs=5e-4)


def test_agreement_and_its_interval_by_hand() -> None:
    found = agreement("aabb", "abbb")
    assert found.value == 0.75
    assert found == wilson_interval(3, 4)
    assert math.isnan(wilson_interval(0, 0).value)
    with pytest.raises(ConfigurationError, match="same items"):
        agreement("a", "ab")


@pytest.mark.parametrize(
    ("truth", "sensitivity", "specificity"),
    [(0.3, 0.9, 0.8), (0.4, 0.8, 0.8), (0.1, 0.95, 0.9), (0.7, 0.85, 0.75)],
)
def test_the_corrected_rate_covers_the_truth_in_95_percent_of_simulations(
    truth: float, sensitivity: float, specificity: float
) -> None:
    rng = np.random.default_rng(0)
    n, n_people, rounds = 1000, 100, 4000
    says = truth * sensitivity + (1 - truth) * (1 - specificity)
    covered = uncorrected = 0
    for _ in range(rounds):
        successes = int(rng.binomial(n, says))
        found = corrected_rate(
            successes,
            n,
            hits=int(rng.binomial(n_people, sensitivity)),
            positives=n_people,
            rejections=int(rng.binomial(n_people, specificity)),
            negatives=n_people,
        )
        covered += found.low <= truth <= found.high
        raw = wilson_interval(successes, n)
        uncorrected += raw.low <= truth <= raw.high
    assert 0.94 <= covered / rounds <= 0.97
    assert uncorrected / rounds < 0.9


def test_a_judge_at_chance_corrects_nothing() -> None:
    with pytest.raises(ConfigurationError, match="chance"):
        corrected_rate(5, 10, hits=5, positives=10, rejections=5, negatives=10)


@pytest.mark.parametrize("n", [40, 49, 120])
def test_perfect_agreement_is_one_to_the_last_digit(n: int) -> None:
    labels = [i % 4 == 0 for i in range(n)]
    found = cohen_kappa(labels, labels)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 1.0 - found.low < 1e-6
