"""What a verifier needs from outside, and the two loops that get it: one waits, one awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, TypeAlias, TypeVar

from routellm_core.answers.content import Answer, as_answer
from routellm_core.errors import ConfigurationError

__all__ = [
    "Ask", "Invocation", "Note", "Plan", "Request", "Step", "arun", "run", "together",
]  # fmt: skip

T = TypeVar("T")

Ask: TypeAlias = "Callable[[Request], Any]"
"""Takes a request and returns the model's text or an `Answer`, or something that awaits one."""

Plan: TypeAlias = "Generator[Sequence[Step], Sequence[Any], T]"
"""Yields steps, which may run together, and receives their results in the same order."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question to a model.

    Parameters
    ----------
    messages
        The conversation in OpenAI's shape.
    model
        Whom to ask: whatever the verifier was made with. None for the model that wrote the answer.
    temperature
        Of the answer.
    max_tokens
        The most tokens that the answer may have; None for the model's own limit.
    top_logprobs
        How many alternatives of each token should come with their log-probabilities; None for no
        log-probabilities.
    purpose
        What it is for: "sample" or "verdict".
    sample
        Which of several answers to the same question this is, from 0.
    ask
        The function that asks; None for the caller's.
    """

    messages: tuple[Mapping[str, Any], ...]
    model: Any = None
    temperature: float = 0.0
    max_tokens: int | None = None
    top_logprobs: int | None = None
    purpose: str = "sample"
    sample: int = 0
    ask: Ask | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a function that takes its time: awaited, or in a thread, where others wait.

    Parameters
    ----------
    function
        Asynchronous or not.
    arguments
        Positional ones.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


Step: TypeAlias = "Request | Invocation"

Note: TypeAlias = "Callable[[Request, Answer], None]"
"""Takes a request and the answer to it."""


def run(plan: Plan[T], *, ask: Ask | None = None, note: Note | None = None) -> T:
    """Take a plan's steps one after another, and return its result.

    Parameters
    ----------
    ask
        Asks for every request that has no `ask` of its own.
    note
        Told of every request and its answer.

    Raises
    ------
    ConfigurationError
        If a request has nobody to ask, or a function is asynchronous.
    """
    try:
        steps = next(plan)
        while True:
            steps = plan.send([_taken(step, ask, note) for step in steps])
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        plan.close()


async def arun(plan: Plan[T], *, ask: Ask | None = None, note: Note | None = None) -> T:
    """Do what `run` does; steps that may run together do, and none blocks the event loop."""
    try:
        steps = next(plan)
        while True:
            steps = plan.send(await _all(_awaited(step, ask, note) for step in steps))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        plan.close()


def together(
    plans: Sequence[Plan[T]], *, decides: Callable[[T], bool] | None = None
) -> Plan[list[T | None]]:
    """Run plans side by side: the steps that they need next are yielded as one sequence.

    Parameters
    ----------
    decides
        Whether a result makes the others needless; the plans that are not done are then closed.

    Returns
    -------
    The results in the plans' order, None for each plan that was closed before its end.
    """
    results: list[T | None] = [None] * len(plans)
    waiting: dict[int, Sequence[Step]] = {}
    try:
        for place, plan in enumerate(plans):
            try:
                waiting[place] = next(plan)
            except StopIteration as end:
                results[place] = end.value
                if decides is not None and decides(end.value):
                    return results
        while waiting:
            taken = yield [step for steps in waiting.values() for step in steps]
            given = iter(taken)
            for place, steps in list(waiting.items()):
                own = [next(given) for _ in steps]
                try:
                    waiting[place] = plans[place].send(own)
                except StopIteration as end:
                    del waiting[place]
                    results[place] = end.value
                    if decides is not None and decides(end.value):
                        return results
        return results
    finally:
        for plan in plans:
            plan.close()


def _taken(step: Step, ask: Ask | None, note: Note | None) -> Any:
    function, arguments = _call_of(step, ask)
    result = function(*arguments)
    if isawaitable(result):
        if iscoroutine(result):
            result.close()  # it would warn that nobody awaited it
        raise ConfigurationError(
            f"{_name(function)} is asynchronous: await `ascore` in place of `score`."
        )
    return _noted(step, result, note)


async def _awaited(step: Step, ask: Ask | None, note: Note | None) -> Any:
    function, arguments = _call_of(step, ask)
    if iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        result = await function(*arguments)
    else:
        result = await asyncio.to_thread(function, *arguments)
        if isawaitable(result):
            result = await result
    return _noted(step, result, note)


def _noted(step: Step, result: Any, note: Note | None) -> Any:
    if not isinstance(step, Request):
        return result
    answer = as_answer(result)
    if note is not None:
        note(step, answer)
    return answer


def _call_of(step: Step, ask: Ask | None) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    if isinstance(step, Invocation):
        return step.function, step.arguments
    asks = step.ask or ask
    if asks is None:
        raise ConfigurationError(
            f"A {step.purpose} has to be asked for, and there is nobody to ask. Pass `ask`: a "
            "function that takes a `Request` and returns the model's text or an `Answer`."
        )
    return asks, (step,)


def _name(function: Callable[..., Any]) -> str:
    return f"`{getattr(function, '__name__', type(function).__name__)}`"


async def _all(coroutines: Any) -> list[Any]:
    """Await coroutines together; when one fails, the others are cancelled before its error."""
    waiting: list[Coroutine[Any, Any, Any]] = list(coroutines)
    if len(waiting) == 1:
        return [await waiting[0]]
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
