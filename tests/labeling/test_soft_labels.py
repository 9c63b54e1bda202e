"""Soft labels and their shift, against brute force."""

import numpy as np
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.labeling.soft import best_shift, soft_labels


def spread(weak, strong, shift: float) -> float:
    """The mean of |y_i - y_j| over pairs, as the paper writes it."""
    y = [
        np.mean([float(w >= s - shift) for w in ws for s in ss])
        for ws, ss in zip(weak, strong, strict=True)
    ]
    n = len(y)
    return sum(abs(a - b) for i, a in enumerate(y) for b in y[:i]) * 2 / (n * (n - 1))


@pytest.mark.parametrize("seed", range(25))
def test_the_shift_is_that_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(2, 9), rng.integers(1, 4), rng.integers(1, 4)
    # Eighths have exact differences, and give ties.
    weak, strong = rng.integers(0, 7, (n, k)) / 8, rng.integers(2, 9, (n, m)) / 8
    tried = sorted({0.0, *(float(s - w) for ws, ss in zip(weak, strong, strict=True)
                           for w in ws for s in ss if s > w)})  # fmt: skip
    values = [round(spread(weak, strong, t), 12) for t in tried]
    assert best_shift(weak, strong) == tried[int(np.argmax(values))]
    found = soft_labels(weak, strong, mode="trans")
    pairs = np.abs(found[:, None] - found[None, :]).sum() / (n * (n - 1))
    assert pairs == pytest.approx(max(values))


def test_the_three_modes_by_hand() -> None:
    weak, strong = [[0.5, 0.0], [0.5, 1.0]], [[0.5, 1.0], [1.0, 1.0]]
    assert soft_labels(weak, strong, mode="det").tolist() == [1.0, 0.0]
    assert soft_labels(weak, strong, mode="prob").tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("weak", "strong", "match"),
    [
        ([1.0], [1.0], "shape"),
        ([[1.0]], [[1.0], [0.0]], "as many prompts"),
        ([[np.nan]], [[1.0]], "finite"),
    ],
)
def test_qualities_that_do_not_fit_are_refused(weak, strong, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        soft_labels(weak, strong)
    with pytest.raises(ConfigurationError, match="`mode`"):
        soft_labels([[1.0]], [[1.0]], mode="hard")
