"""Measure what routing adds to a LangChain call: the routed call against the direct one.

Both call the same model, which answers at once, in turns within one run, so that whatever else the
machine does meets both alike; in between the router is asked alone, and its time is taken off. A
row is the median of the paired differences, per call or per item of a batch. The last rows are for
comparison on the same machine: the usual way to wrap a model, `_generate` that calls `invoke`, and
a thread hop alone.

Usage::

    python benchmarks/bench_langchain_overhead.py [--rounds 3000] [--json]
"""

# ruff: noqa: ARG002 - models take more arguments than these need

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_routellm import RoutedChatModel
from routellm_core import Router

N_BATCH = 32
WIN_RATES = np.full(N_BATCH, 0.25)
MESSAGES = [HumanMessage("What is the capital of France, and why is it there?")]


@dataclass(frozen=True)
class Row:
    """One measured overhead, in microseconds."""

    name: str
    direct_us: float
    routed_us: float
    added_us: float
    limit_us: float | None


class InstantChatModel(BaseChatModel):
    """Answer at once."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Paris."))])

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._generate(messages)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("Paris."))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        yield ChatGenerationChunk(message=AIMessageChunk("Paris."))


class WrappingChatModel(BaseChatModel):
    """Call the model from `_generate`, without any routing."""

    inner: BaseChatModel

    @property
    def _llm_type(self) -> str:
        return "wrapping"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.inner.invoke(messages))])


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


async def first_of_astream(model: BaseChatModel) -> Any:
    stream = model.astream(MESSAGES)
    chunk = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    return chunk


def first_of_stream(model: BaseChatModel) -> Any:
    stream = model.stream(MESSAGES)
    chunk = next(stream)
    stream.close()  # type: ignore[attr-defined]
    return chunk


def nothing() -> None:
    """Do nothing."""


async def measure(rounds: int) -> list[Row]:
    """Return every row."""
    direct, other = InstantChatModel(), InstantChatModel()
    router, threaded = ConstantRouter(), ThreadedRouter()
    routed = RoutedChatModel(strong=direct, weak=other, router=router, threshold=0.5)
    hopping = RoutedChatModel(strong=direct, weak=other, router=threaded, threshold=0.5)
    wrapping = WrappingChatModel(inner=direct)
    batch = [MESSAGES] * N_BATCH
    few = max(rounds // N_BATCH, 50)
    prompt = str(MESSAGES[0].content)

    def one() -> Any:
        return router.win_rates((prompt,))

    def many() -> Any:
        return router.win_rates([prompt] * N_BATCH)

    async def row(
        name: str, limit: float | None, first: Any, second: Any, inference: Any = one, n: int = 1
    ) -> Row:
        times = await compared(first, second, inference, rounds if n == 1 else few)
        return Row(name, *(round(time_s / n * 1e6, 1) for time_s in times), limit)

    return [
        await row("invoke", 40, lambda: direct.invoke(MESSAGES), lambda: routed.invoke(MESSAGES)),
        await row(
            "stream, first chunk",
            40,
            lambda: first_of_stream(direct),
            lambda: first_of_stream(routed),
        ),
        await row(
            "ainvoke, inline router",
            40,
            lambda: direct.ainvoke(MESSAGES),
            lambda: routed.ainvoke(MESSAGES),
        ),
        await row(
            "astream, first chunk, inline router",
            40,
            lambda: first_of_astream(direct),
            lambda: first_of_astream(routed),
        ),
        await row(
            "ainvoke, router in a thread",
            110,
            lambda: direct.ainvoke(MESSAGES),
            lambda: hopping.ainvoke(MESSAGES),
        ),
        await row(
            f"batch of {N_BATCH}, per item",
            45,
            lambda: direct.batch(batch),
            lambda: routed.batch(batch),
            many,
            N_BATCH,
        ),
        await row(
            f"abatch of {N_BATCH}, per item",
            45,
            lambda: direct.abatch(batch),
            lambda: routed.abatch(batch),
            many,
            N_BATCH,
        ),
        await row(
            "for comparison: `_generate` to `invoke`",
            None,
            lambda: direct.invoke(MESSAGES),
            lambda: wrapping.invoke(MESSAGES),
            nothing,
        ),
        await row(
            "for comparison: `asyncio.to_thread`",
            None,
            nothing,
            lambda: asyncio.to_thread(nothing),
            nothing,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What routing adds to a LangChain call.")
    parser.add_argument("--rounds", type=int, default=3000)
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
