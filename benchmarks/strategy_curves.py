"""How good must a verifier be so that looking at the cheap answer beats guessing from the prompt.

On RouteLLM's published MMLU responses (see `docs/results.md` for their origin):

    python benchmarks/strategy_curves.py --data BENCHMARKS

Verifiers are simulated: one that is right about the weak answer with a stated probability, and
RouterBench's noise levels (normal noise on the quality before and after an answer is seen, as in
Dekoninck et al., arXiv:2410.10347). Prices are those of LiteLLM's table for 4 characters a token
and 100 tokens an answer. Everything else is measured: the answers, and the bundled router.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np

from routellm_core import load_router, price_of
from routellm_core.evaluation import load_benchmark
from routellm_core.evaluation.strategies import (
    PairOutcomes,
    StrategyCurve,
    cascade_curve,
    hybrid_curve,
    oracle_curve,
    predictive_curve,
    quality_at_cost,
)

ACCURACIES = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
NOISE = {"low": (0.6, 0.3), "medium": (1.6, 0.8), "high": (2.4, 1.2)}
SHARE, ANSWER_TOKENS, CHARS_PER_TOKEN = 0.3, 100, 4


def joint(verdict: np.ndarray, win_rates: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return P(weak answer right | verdict, win rate), fitted out of fold."""
    from sklearn.linear_model import LogisticRegression

    features = np.stack([verdict, win_rates], axis=1)
    folds, scores = np.arange(len(right)) % 5, np.empty(len(right))
    for fold in range(5):
        fitted = LogisticRegression(C=100.0).fit(features[folds != fold], right[folds != fold])
        scores[folds == fold] = fitted.predict_proba(features[folds == fold])[:, 1]
    return scores


def at_equal_dollars(curve: StrategyCurve, pair: PairOutcomes) -> float:
    """Return the quality at the price of sending a share of the calls to the strong model."""
    usd = pair.weak_usd.mean() + SHARE * (pair.strong_usd - pair.weak_usd).mean()
    return quality_at_cost(curve, float(usd))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder with mmlu/responses.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=20, help="Simulated verifiers for each row.")
    parser.add_argument("--svg", type=Path, help="Draw quality against accuracy there.")
    arguments = parser.parse_args()
    benchmark = load_benchmark("mmlu", arguments.data / "mmlu")
    prices = [
        price_of("gpt-4-1106-preview"),
        price_of("together_ai/mistralai/Mixtral-8x7B-Instruct-v0.1"),
    ]
    chars = np.array([len(prompt) for prompt in benchmark.prompts])
    usd = [
        np.array(
            [
                p.cost_usd(input_tokens=c / CHARS_PER_TOKEN, output_tokens=ANSWER_TOKENS)
                for c in chars
            ]
        )
        for p in prices
    ]
    pair = PairOutcomes.of(benchmark.weak, benchmark.strong, usd[1], usd[0])
    win_rates = load_router("mf").win_rates(list(benchmark.prompts))
    right = (pair.weak > 0.5).astype(float)
    rng = np.random.default_rng(arguments.seed)
    fixed = {
        "random": at_equal_dollars(predictive_curve(np.zeros(len(right)), pair), pair),
        "predict": at_equal_dollars(predictive_curve(win_rates, pair), pair),
        "oracle": at_equal_dollars(oracle_curve(pair), pair),
        "all weak": float(pair.weak.mean()),
        "all strong": float(pair.strong.mean()),
    }
    rows = []
    for accuracy in ACCURACIES:
        curves = {"cascade": [], "cascade with win rate": [], "hybrid": []}
        for _ in range(arguments.draws):
            verdict = np.where(rng.uniform(size=len(right)) < accuracy, right, 1 - right)
            both = joint(verdict, win_rates, right)
            curves["cascade"].append(at_equal_dollars(cascade_curve(verdict, pair), pair))
            curves["cascade with win rate"].append(
                at_equal_dollars(cascade_curve(both, pair), pair)
            )
            curves["hybrid"].append(at_equal_dollars(hybrid_curve(win_rates, both, pair), pair))
        rows.append({"accuracy": accuracy, **_means(curves)})
    for level, (before, after) in NOISE.items():
        curves = {"predict": [], "cascade": []}
        for _ in range(arguments.draws):
            noise = rng.normal(size=(3, len(right)))
            guess = pair.strong - pair.weak + before * (noise[0] - noise[1])
            curves["predict"].append(at_equal_dollars(predictive_curve(guess, pair), pair))
            seen = pair.weak + after * noise[2]
            curves["cascade"].append(at_equal_dollars(cascade_curve(seen, pair), pair))
        rows.append({"noise": level, **_means(curves)})
    if arguments.svg is not None:
        arguments.svg.write_text(drawn(fixed, [row for row in rows if "accuracy" in row]))
    print(
        json.dumps(
            {
                "machine": platform.machine(),
                "n": len(right),
                "usd": {
                    "weak": float(pair.weak_usd.mean()),
                    "strong": float(pair.strong_usd.mean()),
                },
                "share": SHARE,
                "fixed": {name: round(value, 4) for name, value in fixed.items()},
                "half_width_of_a_mean": round(
                    1.96 * float(pair.strong.std()) / len(right) ** 0.5, 4
                ),
                "rows": rows,
            },
            indent=2,
        )
    )


def drawn(fixed: dict[str, float], rows: list[dict[str, float]]) -> str:
    """Return a picture of quality against the verifier's accuracy."""
    low, high = fixed["all weak"], max(row["cascade with win rate"] for row in rows)
    left, top, width, height = 70, 20, 480, 260

    def x(accuracy: float) -> float:
        return left + width * (accuracy - ACCURACIES[0]) / (ACCURACIES[-1] - ACCURACIES[0])

    def y(quality: float) -> float:
        return top + height * (1.0 - (quality - low) / (high - low))

    def level(name: str, label: str) -> str:
        height_of = y(fixed[name])
        return (
            f'<line x1="{left}" x2="{left + width}" y1="{height_of:.1f}" y2="{height_of:.1f}" '
            'stroke="#888" stroke-dasharray="4 4"/>'
            f'<text x="{left + width + 8}" y="{height_of + 4:.1f}">{label}</text>'
        )

    points = " ".join(f"{x(r['accuracy']):.1f},{y(r['cascade with win rate']):.1f}" for r in rows)
    ticks = "".join(
        f'<text x="{x(a):.1f}" y="{top + height + 20}" text-anchor="middle">{100 * a:.0f} %</text>'
        for a in ACCURACIES[::2]
    )
    scale = "".join(
        f'<text x="{left - 8}" y="{y(q) + 4:.1f}" text-anchor="end">{100 * q:.0f} %</text>'
        for q in (0.68, 0.72, 0.76, 0.80)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 350" role="img" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#777">'
        "<title>Quality of a cascade against the accuracy of its verifier, at equal dollars</title>"
        f"{level('all strong', 'all strong')}{level('predict', 'router alone')}"
        f"{level('all weak', 'all weak')}{ticks}{scale}"
        f'<polyline points="{points}" fill="none" stroke="#2a78d6" stroke-width="3"/>'
        f'<text x="{x(0.8):.0f}" y="{y(0.74):.0f}" fill="#2a78d6">cascade</text>'
        f'<text x="{left + width / 2}" y="{top + height + 44}" text-anchor="middle">'
        "how often the verifier is right about the cheap answer</text></svg>\n"
    )


def _means(drawn: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(float(np.mean(values)), 4) for name, values in drawn.items()}


if __name__ == "__main__":
    main()
