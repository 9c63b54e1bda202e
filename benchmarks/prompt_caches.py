"""What it saves to count with prompt caches when a conversation's turns are routed.

    python benchmarks/prompt_caches.py

Everything is simulated, but for the rule and the prices, which are those of LiteLLM's table. A
conversation has turns whose difficulty is a percentile, drawn uniformly; the strong model's answer
is worth as much more as the turn is harder. After a pause longer than the cache's lifetime nothing
is cached. The blind rule compares the percentile with a threshold; the aware one moves the
threshold as `CacheRule` does. Dollars are compared at equal quality: with what the blind rule costs
at the threshold at which it has the aware rule's quality.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from routellm_core.experts import ExpertTable
from routellm_core.policy import CacheRule, CacheSettings, History
from routellm_core.policy.prefixes import Held
from routellm_core.testing import ScriptedRouter

PAIRS = {
    "claude-opus-4-5 / claude-haiku-4-5": ("claude-opus-4-5", "claude-haiku-4-5"),
    "claude-sonnet-4-5 / claude-haiku-4-5": ("claude-sonnet-4-5", "claude-haiku-4-5"),
    "gpt-4o / gpt-4o-mini": ("gpt-4o", "gpt-4o-mini"),
}
THRESHOLDS = (0.3, 0.5, 0.7)
GRID = np.linspace(0.0, 1.0, 26)


@dataclass(frozen=True)
class Traffic:
    """What conversations look like: means, in turns, calls and tokens."""

    turns: float = 8.0
    tool_calls: float = 0.0
    system_tokens: int = 6000
    turn_tokens: int = 600
    tool_tokens: int = 300
    answer_tokens: int = 400
    pause_share: float = 0.1


class Turn(NamedTuple):
    """One user turn: how hard, how many calls, and whether a long pause came before it."""

    percentile: float
    n_calls: int
    after_pause: bool


class Bill(NamedTuple):
    """Per call: US dollars, quality over the weak model's, strong calls; and switches a turn."""

    usd: float
    quality: float
    strong_share: float
    switches: float


def conversations(traffic: Traffic, *, n: int, seed: int) -> list[list[Turn]]:
    """Return n conversations."""
    rng = np.random.default_rng(seed)
    calls = 1.0 / (1.0 + traffic.tool_calls)
    return [
        [
            Turn(rng.random(), int(rng.geometric(calls)), rng.random() < traffic.pause_share)
            for _ in range(rng.geometric(1.0 / traffic.turns))
        ]
        for _ in range(n)
    ]


def bill(
    talks: list[list[Turn]], traffic: Traffic, rule: CacheRule, threshold: float, *, aware: bool
) -> Bill:
    """Return what routing conversations costs, and what it is worth."""
    usd = quality = 0.0
    n_strong = n_calls = n_switches = n_turns = 0
    for talk in talks:
        prompt, held, last, calls = traffic.system_tokens, {}, None, 0
        for number, turn in enumerate(talk):
            prompt += traffic.turn_tokens
            held = {} if turn.after_pause else held
            limit = threshold
            if aware and held:
                kept = {name: Held(tokens, is_estimated=False) for name, tokens in held.items()}
                limit, _ = rule.moved(threshold, History(kept, prompt, max(1.0, calls / number)))
            route = "strong" if turn.percentile >= limit else "weak"
            n_switches += last not in (None, route)
            last, n_turns, quality = (
                route,
                n_turns + 1,
                quality + turn.percentile * (route == "strong"),
            )
            for step in range(turn.n_calls):
                prompt += traffic.tool_tokens * (step > 0)
                cached = min(held.get(route, 0), prompt)
                usd += rule.prices[route].cost_usd(
                    input_tokens=prompt,
                    output_tokens=traffic.answer_tokens,
                    cached_tokens=cached,
                    cache_write_tokens=prompt - cached,
                )
                held[route] = prompt
                prompt += traffic.answer_tokens
            calls += turn.n_calls
            n_strong += turn.n_calls * (route == "strong")
        n_calls += calls
    return Bill(usd / n_calls, quality / n_turns, n_strong / n_calls, n_switches / n_turns)


def rows_of(name: str, traffic: Traffic, *, n: int, seed: int) -> list[dict[str, object]]:
    """Return one row for each threshold."""
    strong, weak = PAIRS[name]
    experts = ExpertTable.of_pair(strong_model=strong, weak_model=weak)
    settings = CacheSettings(answer_tokens=traffic.answer_tokens)
    rule = CacheRule(settings, experts, ScriptedRouter())
    talks = conversations(traffic, n=n, seed=seed)
    grid = [bill(talks, traffic, rule, threshold, aware=False) for threshold in GRID][::-1]
    rows = []
    for threshold in THRESHOLDS:
        blind = bill(talks, traffic, rule, threshold, aware=False)
        aware = bill(talks, traffic, rule, threshold, aware=True)
        equal = float(np.interp(aware.quality, [b.quality for b in grid], [b.usd for b in grid]))
        rows.append(
            {
                "pair": name,
                "tool_calls": traffic.tool_calls,
                "threshold": threshold,
                "blind": blind._asdict(),
                "aware": aware._asdict(),
                "saved": 1.0 - aware.usd / blind.usd,
                "saved_at_equal_quality": 1.0 - aware.usd / equal,
            }
        )
    return rows


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        row
        for tool_calls in (0.0, 3.0)
        for name in PAIRS
        for row in rows_of(
            name, Traffic(tool_calls=tool_calls), n=arguments.conversations, seed=arguments.seed
        )
    ]
    if arguments.json:
        print(json.dumps({"machine": platform.machine(), "rows": rows}, indent=1))
        return
    for row in rows:
        blind, aware = row["blind"], row["aware"]
        print(
            f"| {row['pair']} | {row['tool_calls']:.0f} | {row['threshold']} "
            f"| {1000 * blind['usd']:.2f} | {1000 * aware['usd']:.2f} "
            f"| {blind['quality']:.3f} | {aware['quality']:.3f} "
            f"| {blind['switches']:.0%} | {aware['switches']:.0%} "
            f"| {row['saved_at_equal_quality']:+.1%} |"
        )


if __name__ == "__main__":
    main()
