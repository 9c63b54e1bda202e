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
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import numpy as np
import torch
from langchain_openai import ChatOpenAI
from transformers import GPT2Config, GPT2LMHeadModel

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

CHARACTERS = "0123456789+=;"
PLACE = {character: place for place, character in enumerate(CHARACTERS)}
END = PLACE[";"]
LONGEST_ANSWER = 5
PRICES = {"weak": Price("weak", 1e-7, 4e-7), "strong": Price("strong", 1e-6, 4e-6)}


@dataclass(frozen=True)
class Size:
    """How large a model is, and how long it learns."""

    width: int
    layers: int
    steps: int
    three_digits: float
    """The share of numbers with three digits among those that it learns from."""


@dataclass(frozen=True)
class Plan:
    """How much of everything there is."""

    weak: Size = Size(width=48, layers=1, steps=1500, three_digits=0.1)
    strong: Size = Size(width=96, layers=2, steps=2500, three_digits=0.5)
    n_table: int = 4000
    n_live: int = 300
    batch: int = 128


QUICK = Plan(
    weak=Size(width=24, layers=1, steps=200, three_digits=0.0),
    strong=Size(width=32, layers=1, steps=500, three_digits=0.0),
    n_table=800,
    n_live=40,
)


class Written(NamedTuple):
    """An answer: its characters as they were written, and the log-probability of each."""

    characters: str
    logprobs: list[float]

    @property
    def text(self) -> str:
        """The sum as people write it: the model writes the last digit first."""
        return self.characters.rstrip(";")[::-1] or "?"


def drawn(rng: np.random.Generator, n: int, *, three_digits: float = 0.5) -> list[tuple[int, int]]:
    """Draw pairs of numbers of one, two or three digits."""
    shares = [(1 - three_digits) / 2, (1 - three_digits) / 2, three_digits]
    digits = rng.choice([1, 2, 3], size=(n, 2), p=shares)
    return [tuple(int(rng.integers(0, 10**d)) for d in row) for row in digits.tolist()]


def learned(size: Size, *, batch: int, seed: int) -> GPT2LMHeadModel:
    """Train a model to continue "12+30=" with "24;", the sum's last digit first."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = GPT2Config(
        vocab_size=len(CHARACTERS), n_positions=16, n_embd=size.width, n_layer=size.layers,
        n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=END, eos_token_id=END,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=size.steps)
    for _ in range(size.steps):
        rows, labels = [], []
        for a, b in drawn(rng, batch, three_digits=size.three_digits):
            asked, answer = f"{a}+{b}=", f"{str(a + b)[::-1]};"
            row = [PLACE[c] for c in asked + answer]
            rows.append(row + [END] * (16 - len(row)))
            labels.append([-100] * len(asked) + row[len(asked) :] + [-100] * (16 - len(row)))
        loss = model(input_ids=torch.tensor(rows), labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def written(model: GPT2LMHeadModel, sums: Sequence[tuple[int, int]]) -> list[Written]:
    """Return the most probable continuation of each sum, character by character."""
    found: list[Written] = [Written("", []) for _ in sums]
    by_length: dict[int, list[int]] = {}
    for place, (a, b) in enumerate(sums):
        by_length.setdefault(len(f"{a}+{b}="), []).append(place)
    for places in by_length.values():
        asked = ["{}+{}=".format(*sums[place]) for place in places]
        rows = torch.tensor([[PLACE[c] for c in text] for text in asked])
        done = torch.zeros(len(places), dtype=torch.bool)
        for _ in range(LONGEST_ANSWER):
            logprobs = model(input_ids=rows).logits[:, -1].log_softmax(-1)
            best, chosen = logprobs.max(-1)
            for row in (~done).nonzero().flatten().tolist():
                before = found[places[row]]
                found[places[row]] = Written(
                    before.characters + CHARACTERS[chosen[row]],
                    [*before.logprobs, min(0.0, float(best[row]))],
                )
            done |= chosen == END
            if done.all():
                break
            rows = torch.cat([rows, chosen[:, None]], dim=1)
    return found


def prompt_of(a: int, b: int) -> str:
    """Return the question that a person would ask."""
    return f"What is {a} + {b}?"


def sum_of(prompt: str) -> tuple[int, int]:
    """Return the numbers of a question."""
    a, b = map(int, re.findall(r"\d+", prompt)[:2])
    return a, b


@contextmanager
def served(models: dict[str, GPT2LMHeadModel]) -> Iterator[str]:
    """Serve the models with OpenAI's protocol on the loopback address; yield the address."""
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = sum_of(request["messages"][-1]["content"])
            with one_at_a_time:
                answer = written(models[request["model"]], [asked])[0]
            body = json.dumps(completion(request, answer, asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(request: dict[str, Any], answer: Written, asked: tuple[int, int]) -> dict[str, Any]:
    """Return an answer as OpenAI's API words it."""
    content = [
        {"token": c, "logprob": p, "bytes": None, "top_logprobs": []}
        for c, p in zip(answer.characters, answer.logprobs, strict=True)
    ]
    read = len("{}+{}=".format(*asked))
    return {
        "id": "chatcmpl-small", "object": "chat.completion", "created": int(time.time()),
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "stop",
                "logprobs": {"content": content} if request.get("logprobs") else None,
            }
        ],
        "usage": {
            "prompt_tokens": read, "completion_tokens": len(content),
            "total_tokens": read + len(content),
        },
    }  # fmt: skip


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
