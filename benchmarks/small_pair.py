"""A cascade over two real language models, from their outcomes to live calls, on this machine.

    python benchmarks/small_pair.py [--out FOLDER] [--quick]

Two character-level transformers learn to add whole numbers of up to three digits here, the weak one
with a fraction of the strong one's size and steps, mostly on short numbers. Both are served by an
OpenAI-compatible server on the loopback address, with token counts and log-probabilities. Then the
whole road: both answer the prompts of a table; a verifier is trained on one part of it; the level
of acceptance is set on another; and on a third, which nothing has seen, `RoutedChatModel` answers
live with each strategy. Cost, calls and latency are those of the monitor's records.

Prices are stated, not measured: 0.1 and 0.4 US dollars a million tokens read and written for the
weak model, ten times that for the strong one.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import numpy as np
import torch
from langchain_openai import ChatOpenAI
from small_models import Size, drawn, learned, prompt_of, served, sum_of, written
from transformers import GPT2LMHeadModel

from langchain_routellm import RoutedChatModel
from routellm_core import Monitor, Price, Router
from routellm_core.answers import load_verifier
from routellm_core.calibration.logistic import fit_logistic
from routellm_core.data import read_answers
from routellm_core.data.scored_outcomes import read_scored_outcomes
from routellm_core.evaluation.contenders import Signals, cascade, hybrid, predict
from routellm_core.evaluation.expert_answers import ExpertAnswers, scores_of
from routellm_core.evaluation.strategy_goals import StrategySetting, calibrate_strategy
from routellm_core.monitoring import Pricing
from routellm_core.strategies import Cascade, Hybrid, Predict
from routellm_core.training import train_verifier

PRICES = {"weak": Price("weak", 1e-7, 4e-7), "strong": Price("strong", 1e-6, 4e-6)}
WEAK = Size(width=48, layers=1, steps=1500, three_digits=0.1)
STRONG = Size(width=96, layers=2, steps=2500, three_digits=0.5)


@dataclass(frozen=True)
class Plan:
    """How much of everything there is."""

    weak: Size = WEAK
    strong: Size = STRONG
    n_table: int = 4000
    n_live: int = 300
    batch: int = 128


QUICK = Plan(
    weak=Size(width=24, layers=1, steps=200, three_digits=0.0),
    strong=Size(width=32, layers=1, steps=500, three_digits=0.0),
    n_table=800,
    n_live=40,
)


def table_of(
    models: dict[str, GPT2LMHeadModel], sums: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Return one row for each prompt and model, as outcome tables have them."""
    rows = []
    for name, model in models.items():
        for (a, b), answer in zip(sums, written(model, sums), strict=True):
            read, wrote = len(f"{a}+{b}="), len(answer.characters)
            rows.append(
                {
                    "prompt": prompt_of(a, b),
                    "model": name,
                    "answer": answer.text,
                    "quality": float(answer.text == str(a + b)),
                    "logprob": float(np.mean(answer.logprobs)),
                    "input_tokens": read,
                    "output_tokens": wrote,
                    "cost": PRICES[name].cost_usd(input_tokens=read, output_tokens=wrote),
                    "finish_reason": "stop",
                }
            )
    return rows


class DigitsRouter(Router):
    """The win rate of a sum, learned from how many digits its numbers have."""

    name = "digits"

    def __init__(self, prompts: Sequence[str], wins: Sequence[float]) -> None:
        self._map = fit_logistic(self._features(prompts), np.asarray(wins, dtype=np.float64))

    @staticmethod
    def _features(prompts: Sequence[str]) -> np.ndarray:
        digits = [[len(str(number)) for number in sum_of(prompt)] for prompt in prompts]
        return np.array([[a, b, a * b, max(a, b)] for a, b in digits], dtype=np.float64)

    def _win_rates(self, prompts: Sequence[str]) -> np.ndarray:
        return self._map(self._features(prompts))


class Road(NamedTuple):
    """What the table taught: a router, a verifier's folder, and each strategy's setting."""

    router: DigitsRouter
    verifier: str
    auroc: float
    settings: dict[str, StrategySetting]
    strategies: dict[str, Any]


def travelled(rows: list[dict[str, Any]], folder: Path, *, share: float = 0.4) -> Road:
    """Train on one half of the table's prompts, and set every strategy on the other.

    The goal of all is one cost: that of sending a share of the calls to the strong model.
    """
    prompts = list(dict.fromkeys(row["prompt"] for row in rows))
    training = set(prompts[: len(prompts) // 2])
    first = [row for row in rows if row["prompt"] in training]
    second = [row for row in rows if row["prompt"] not in training]
    trained = train_verifier(read_answers(first).of_model("weak"))
    trained.save(folder / "verifier")
    by_model = {
        name: {row["prompt"]: row["quality"] for row in first if row["model"] == name}
        for name in PRICES
    }
    asked = list(by_model["weak"])
    wins = [0.5 + (by_model["strong"][p] - by_model["weak"][p]) / 2 for p in asked]
    router = DigitsRouter(asked, wins)

    table = read_scored_outcomes(second)
    learned_one = load_verifier(str(folder / "verifier"))
    settings, strategies = {}, {}
    for name, verifier in (("learned", learned_one), ("logprob", load_verifier("logprob"))):
        scores = scores_of(table, "logprob" if name == "logprob" else verifier)
        answers, part = ExpertAnswers.of(table, pricing=Pricing(PRICES), scores=scores)
        signals = Signals(router.win_rates(list(part.outcomes.prompts)))
        weak_usd, strong_usd = answers.usd.mean(axis=0)
        goal = {"max_cost": float(weak_usd + share * (strong_usd - weak_usd)), "rounds": 200}
        found = calibrate_strategy(cascade(), answers, signals, **goal)
        settings[f"cascade, {name}"] = found
        strategies[f"cascade, {name}"] = Cascade(verifier, accept=found.setting[0])
        found = calibrate_strategy(hybrid(), answers, signals, **goal)
        low, high, accept = found.setting
        settings[f"hybrid, {name}"] = found
        band = (min(low, 1.0), min(high, 1.0))
        strategies[f"hybrid, {name}"] = Hybrid(verifier, accept=accept, band=band)
    found = calibrate_strategy(predict(), answers, signals, **goal)
    settings["predict"], strategies["predict"] = found, Predict()
    return Road(router, str(folder / "verifier"), trained.metrics["auroc"], settings, strategies)


def live(
    road: Road, address: str, sums: Sequence[tuple[int, int]]
) -> list[dict[str, float | int | str]]:
    """Answer every prompt with each strategy; return quality, calls, cost and latency."""
    with httpx.Client() as http:
        # Verifiers read the log-probabilities that the model was made to send.
        clients = {
            name: ChatOpenAI(
                model=name, base_url=address, api_key="none", max_retries=0, logprobs=True,
                http_client=http,
            )
            for name in PRICES
        }  # fmt: skip
        return _lived(road, clients, sums)


def _lived(
    road: Road, clients: dict[str, ChatOpenAI], sums: Sequence[tuple[int, int]]
) -> list[dict[str, float | int | str]]:
    threshold = min(1.0, road.settings["predict"].setting[0])
    found = []
    for name, strategy, limit in [
        ("all weak", None, 1.0),
        ("all strong", None, 0.0),
        *((name, strategy, threshold) for name, strategy in road.strategies.items()),
    ]:
        records: list[Any] = []
        monitor = Monitor(records.append, prices=PRICES)
        model = RoutedChatModel(
            strong=clients["strong"], weak=clients["weak"], router=road.router, threshold=limit,
            strategy=strategy, monitor=monitor,
        )  # fmt: skip
        model.invoke(prompt_of(1, 1))  # opens the connections
        right = sum(model.invoke(prompt_of(a, b)).text == str(a + b) for a, b in sums)
        monitor.close()
        calls = [record for record in records if record.outcome == "answered"][1:]
        costs = [record.cost_usd + (record.drafts_usd or 0.0) for record in calls]
        asked = [len(record.steps) if record.steps else 1 for record in calls]
        setting = road.settings.get(name)
        found.append(
            {
                "strategy": name,
                "quality": right / len(sums),
                "calibrated_quality": None if setting is None else setting.quality.value,
                "calls": float(np.mean(asked)),
                "strong": float(np.mean([record.route == "strong" for record in calls])),
                "usd_per_million": 1e6 * float(np.mean(costs)),
                "calibrated_usd_per_million": 1e6 * setting.usd.value if setting else None,
                "ms": float(np.mean([record.call_ms for record in calls])),
                "p95_ms": float(np.quantile([record.call_ms for record in calls], 0.95)),
            }
        )
    return found


def run(plan: Plan, folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Make the models, travel the road, and return what was measured."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    models = {
        name: learned(size, batch=plan.batch, seed=seed + place)
        for place, (name, size) in enumerate((("weak", plan.weak), ("strong", plan.strong)))
    }
    trained_s = time.perf_counter() - began
    longest = 0.5 if plan.strong.three_digits else 0.0
    sums = list(dict.fromkeys(drawn(rng, plan.n_table + plan.n_live, three_digits=longest)))
    cut = len(sums) - plan.n_live
    rows = table_of(models, sums[:cut])
    (folder / "answered.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    road = travelled(rows, folder)
    with served(models) as address:
        found = live(road, address, sums[cut:])
    return {
        "machine": platform.machine(),
        "seed": seed,
        "trained_s": round(trained_s, 1),
        "parameters": {name: model.num_parameters() for name, model in models.items()},
        "n_table": cut,
        "n_live": len(sums) - cut,
        "auroc": road.auroc,
        "break_even": road.settings["cascade, learned"].break_even,
        "rows": found,
    }


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Keep table and verifier there.")
    parser.add_argument("--quick", action="store_true", help="Small models, few calls.")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        plan = QUICK if arguments.quick else Plan()
        print(json.dumps(run(plan, folder, seed=arguments.seed), indent=1))


if __name__ == "__main__":
    main()
