# ruff: noqa: ARG002, D102 - models and handlers in LangChain's form
"""What a shadow costs the calls before it: 10,000 calls with and without one, in one run.

    python benchmarks/bench_shadow.py [--calls 10000] [--share 1.0] [--seed 0]

The other model fails in turn: it raises, hangs, returns garbage, raises `SystemExit`, or answers.
Blocks of calls with a shadow and without alternate, so that both meet the same machine. Printed are
quantiles of the latency and their ratios, whether answers and callbacks are the same, and memory.
"""

from __future__ import annotations

import argparse
import gc
import logging
import platform
import tempfile
import threading
import time
import tracemalloc
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_routellm import RoutedChatModel
from routellm_core import Monitor, ShadowSettings
from routellm_core.testing import ScriptedRouter

BLOCK = 250


class Weak(BaseChatModel):
    """Answer after a millisecond."""

    @property
    def _llm_type(self) -> str:
        return "weak"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        time.sleep(0.001)
        answer = AIMessage(f"Answer to {messages[-1].text}")
        return ChatResult(generations=[ChatGeneration(message=answer)])


class Strong(Weak):
    """Fail in one way after the other."""

    hang: Any
    turns: Any

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        turn = next(self.turns) % 5
        if turn == 0:
            raise ConnectionError("down")
        if turn == 1:
            self.hang.wait(0.05)
            raise TimeoutError
        if turn == 2:
            return "garbage"
        if turn == 3:
            raise SystemExit
        return super()._generate(messages)


class Events(BaseCallbackHandler):
    """Note what a tracer would see."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.seen.append(("start", messages[0][-1].text))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.seen.append(("end", response.generations[0][0].text))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append(("error", type(error).__name__))


def made(log: Path, shadow: ShadowSettings | None) -> RoutedChatModel:
    return RoutedChatModel(
        strong=Strong(hang=threading.Event(), turns=count()),
        weak=Weak(),
        router=ScriptedRouter({}, default=0.1),
        threshold=0.5,
        monitor=Monitor(log, keep_prompt_chars=1000),
        shadow=shadow,
    )


def block(model: RoutedChatModel, first: int, n: int) -> tuple[list[float], list[Any], list[Any]]:
    events, answers, seconds = Events(), [], []
    config: Any = {"callbacks": [events]}
    for number in range(first, first + n):
        began_s = time.perf_counter()
        answer = model.invoke(f"Question {number}", config)
        seconds.append(time.perf_counter() - began_s)
        answers.append(answer.text)
    return seconds, answers, events.seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("routellm_core").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        settings = ShadowSettings(share=options.share, seed=options.seed, budget_usd=None)
        models = {
            "without": made(Path(folder, "without.jsonl"), None),
            "with": made(Path(folder, "with.jsonl"), settings),
        }
        for model in models.values():
            block(model, 0, 50)
        report(models, options.calls)


def report(models: dict[str, RoutedChatModel], n_calls: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in models}
    n_different = 0
    for first in range(0, n_calls, BLOCK):
        seen = []
        for name, model in models.items():
            seconds, *rest = block(model, first, min(BLOCK, n_calls - first))
            taken[name] += seconds
            seen.append(rest)
        n_different += seen[0] != seen[1]
    shadow = models["with"].guards.shadow
    assert shadow is not None
    shadow.drain(timeout_s=60.0)
    print(f"{platform.machine()}, Python {platform.python_version()}, {n_calls} calls each")
    print(
        f"asked {shadow.n_answered + shadow.n_failed}, answered {shadow.n_answered}, "
        f"failed {shadow.n_failed}, dropped {shadow.n_dropped}"
    )
    print(f"blocks whose answers or callbacks differ: {n_different}")
    for share in (50, 95, 99):
        without, with_ = (np.percentile(taken[name], share) * 1e3 for name in models)
        print(f"p{share}: {without:.3f} ms, with {with_:.3f} ms, ratio {with_ / without:.3f}")
    told = ", ".join(f"{name} {held_kib(model):.0f} KiB" for name, model in models.items())
    print(f"memory held after {8 * BLOCK} more calls: {told}")


def held_kib(model: RoutedChatModel) -> float:
    """Return what calls leave behind while their shadows are under way."""
    block(model, 0, BLOCK)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    block(model, 0, 8 * BLOCK)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / 1024.0


if __name__ == "__main__":
    main()
