"""Score a draft, and tell the call's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from routellm_core.answers.steps import arun, run
from routellm_core.plan.gate import ChunkGate

if TYPE_CHECKING:
    from routellm_core.answers import Answer
    from routellm_core.answers.verifier import Verifier
    from routellm_core.plan.calls import RoutedCall
    from routellm_core.plan.planned import PlannedAttempts

__all__ = ["ais_given", "content_of", "is_given", "usage_of"]


def is_given(call: RoutedCall[Any, Any], answer: Any) -> bool:
    """Score a whole answer; return whether the call has its answer, `call.given`."""
    attempts = cast("PlannedAttempts", call.attempts)
    try:
        score = answer.score if isinstance(answer, ChunkGate) else None
        if score is None:
            plan = _verifier(call).plan(call.prompt(), content_of(call, answer))
            score = run(plan, ask=call.ask_verifier)
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        return attempts.unjudged(error, answer, usage_of(call, answer))
    is_whole = not (isinstance(answer, ChunkGate) and answer.score is not None)
    return attempts.judged(score, answer, usage_of(call, answer), is_whole=is_whole)


async def ais_given(call: RoutedCall[Any, Any], answer: Any) -> bool:
    """Score a whole answer as `is_given` does, until the call's deadline at the latest."""
    attempts = cast("PlannedAttempts", call.attempts)
    try:
        score = answer.score if isinstance(answer, ChunkGate) else None
        if score is None:
            plan = _verifier(call).plan(call.prompt(), content_of(call, answer))
            score = await attempts.before_deadline(arun(plan, ask=call.ask_verifier))
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        return attempts.unjudged(error, answer, usage_of(call, answer))
    is_whole = not (isinstance(answer, ChunkGate) and answer.score is not None)
    return attempts.judged(score, answer, usage_of(call, answer), is_whole=is_whole)


def content_of(call: RoutedCall[Any, Any], answer: Any) -> Answer:
    """Return an answer as verifiers read it, be it whole or a stream that was held back."""
    whole = call.merged(answer.held) if isinstance(answer, ChunkGate) else answer
    return call.answer_of(whole)


def usage_of(call: RoutedCall[Any, Any], answer: Any) -> Any:
    """Return what an answer used, be it whole or a stream that was held back."""
    whole = call.merged(answer.held) if isinstance(answer, ChunkGate) else answer
    return call.used(whole)


def _verifier(call: RoutedCall[Any, Any]) -> Verifier:
    verifier = call.verifier
    assert verifier is not None  # noqa: S101 - callers see to it
    return verifier
