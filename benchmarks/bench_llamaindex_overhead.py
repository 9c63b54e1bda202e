"""Measure what routing adds to a LlamaIndex call: the routed call against the direct one.

Both call the same model, which answers at once, in turns within one run, so that whatever else the
machine does meets both alike; in between the router is asked alone, and its time is taken off. A
row is the median of the paired differences; the row for a token divides what a long stream adds
over a short one by the tokens between them. The last row is a thread hop alone, for comparison.

Usage::

    python benchmarks/bench_llamaindex_overhead.py [--rounds 2000] [--json]
"""

# ruff: noqa: ANN201, ARG002, D102 - a model has many methods, with more arguments than it needs

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate

from llamaindex_routellm import RoutedLLM
from routellm_core import Router

QUESTION = "What is the capital of France, and why is it there?"
MESSAGES = [ChatMessage("Be brief.", role="system"), ChatMessage(QUESTION)]
PROMPT = PromptTemplate("Given {context_str}, answer: {query_str}")
VALUES = {"context_str": "Paris is the capital of France. " * 20, "query_str": QUESTION}
WIN_RATES = np.full(1, 0.25)
SHORT, LONG = 1, 51


@dataclass(frozen=True)
class Row:
    """One measured overhead, in microseconds."""

    name: str
    direct_us: float
    routed_us: float
    added_us: float
    limit_us: float | None


class InstantLLM(FunctionCallingLLM):
    """Answer at once, in as many chunks as wanted."""

    n_chunks: int = SHORT

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="instant")

    def _response(self, delta: str = "Paris.") -> ChatResponse:
        return ChatResponse(message=ChatMessage("Paris.", role="assistant"), delta=delta)

    @llm_chat_callback()
    def chat(self, messages: Any, **kwargs: Any):
        return self._response()

    @llm_chat_callback()
    async def achat(self, messages: Any, **kwargs: Any):
        return self._response()

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **kwargs: Any):
        return (self._response() for _ in range(self.n_chunks))

    @llm_chat_callback()
    async def astream_chat(self, messages: Any, **kwargs: Any):
        async def chunks() -> Any:
            for _ in range(self.n_chunks):
                yield self._response()

        return chunks()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any):
        return CompletionResponse(text="Paris.")

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any):
        return CompletionResponse(text="Paris.")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any):
        return (CompletionResponse(text="Paris.") for _ in range(self.n_chunks))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any):
        raise NotImplementedError

    def _prepare_chat_with_tools(self, tools: Any, **kwargs: Any) -> dict[str, Any]:
        raise NotImplementedError


class ConstantRouter(Router):
    """Give every prompt the same win rate, at once."""

    name = "constant"
    inline = True

    def _win_rates(self, prompts: Sequence[str]) -> Any:
        return WIN_RATES[: len(prompts)]


class ThreadedRouter(ConstantRouter):
    """The same from a thread."""

    name = "threaded"
    inline = False


async def compared(
    direct: Callable[[], Any], routed: Callable[[], Any], inference: Callable[[], Any], rounds: int
) -> tuple[float, float, float]:
    """Return the median seconds of either call, and of what routing adds without inference."""
    times: list[tuple[float, float, float]] = []
    for index in range(rounds + rounds // 10):
        # Whoever comes second finds warmer caches: take turns.
        first, second = (direct, routed) if index % 2 else (routed, direct)
        pair = await timed(first), await timed(second)
        direct_s, routed_s = pair if index % 2 else pair[::-1]
        times.append((direct_s, routed_s, routed_s - direct_s - await timed(inference)))
    direct_all, routed_all, added = zip(*times[rounds // 10 :], strict=True)
    return median(direct_all), median(routed_all), median(added)


async def timed(call: Callable[[], Any]) -> float:
    """Return the seconds of one call, which may be a coroutine's."""
    start = perf_counter()
    result = call()
    if inspect.isawaitable(result):
        await result
    return perf_counter() - start


def nothing() -> None:
    """Do nothing."""


async def measure(rounds: int) -> list[Row]:
    """Return every row."""
    router = ConstantRouter()

    def routed_to(model: InstantLLM, router: Router) -> RoutedLLM:
        # Nothing is remembered, so that every call asks the router.
        other = model.model_copy()
        return RoutedLLM(strong=model, weak=other, router=router, threshold=0.5, remember=0)

    short, long = InstantLLM(), InstantLLM(n_chunks=LONG)
    routed, hopping = routed_to(short, router), routed_to(short, ThreadedRouter())
    routed_long = routed_to(long, router)

    def one() -> Any:
        return router.win_rates((QUESTION,))

    async def row(
        name: str, limit: float | None, first: Any, second: Any, inference: Any = one
    ) -> Row:
        times = await compared(first, second, inference, rounds)
        return Row(name, *(round(time_s * 1e6, 1) for time_s in times), limit)

    def both(method: Callable[[Any], Any], there: Any = routed) -> tuple[Any, Any]:
        return (lambda: method(short)), (lambda: method(there))

    rows = [
        await row("chat", 60, *both(lambda llm: llm.chat(MESSAGES))),
        await row("complete", 60, *both(lambda llm: llm.complete(QUESTION))),
        await row("predict", 60, *both(lambda llm: llm.predict(PROMPT, **VALUES))),
        await row("stream_chat, 1 token", 70, *both(lambda llm: list(llm.stream_chat(MESSAGES)))),
        await row(
            f"stream_chat, {LONG} tokens",
            70 + 4 * LONG,
            lambda: list(long.stream_chat(MESSAGES)),
            lambda: list(routed_long.stream_chat(MESSAGES)),
        ),
        await row("achat, inline router", 60, *both(lambda llm: llm.achat(MESSAGES))),
        await row(
            "achat, router in a thread", 130, *both(lambda llm: llm.achat(MESSAGES), hopping)
        ),
        await row(
            "for comparison: `asyncio.to_thread`",
            None,
            nothing,
            lambda: asyncio.to_thread(nothing),
            nothing,
        ),
    ]
    rows.insert(5, per_token(rows[3], rows[4]))
    return rows


def per_token(short: Row, long: Row) -> Row:
    """Return the row for one token of a stream."""
    n = LONG - SHORT
    figures = [
        round((getattr(long, name) - getattr(short, name)) / n, 2)
        for name in ("direct_us", "routed_us", "added_us")
    ]
    return Row("stream_chat, each further token", *figures, 4)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What routing adds to a LlamaIndex call.")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    gc.disable()
    rows = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print(f"{'call':42}{'direct':>9}{'routed':>9}{'added':>9}{'limit':>8}   (median, µs)")
        for row in rows:
            print(
                f"{row.name:42}{row.direct_us:9.1f}{row.routed_us:9.1f}{row.added_us:9.1f}"
                f"{row.limit_us or '':>8}"
            )
    return int(any(row.limit_us is not None and row.added_us > row.limit_us for row in rows))


if __name__ == "__main__":
    sys.exit(main())
