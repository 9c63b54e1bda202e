"""Score a draft, and tell the call's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from routellm_core.answers.schemas import schema
from routellm_core.answers.steps import arun, run
from routellm_core.plan.gate import ChunkGate

if TYPE_CHECKING:
    from routellm_core.answers import Answer, Plan, Prompt
    from routellm_core.answers.verifier import Score, Verifier
    from routellm_core.plan.calls import RoutedCall
    from routellm_core.plan.planned import PlannedAttempts

__all__ = ["ais_given", "content_of", "form_score", "is_given", "usage_of"]

_FORM = schema()


def is_given(call: RoutedCall[Any, Any], answer: Any) -> bool:
    """Score a whole answer; return whether the call has its answer, `call.given`.

    Raises
    ------
    EmptyAnswerError
        If the answer lacks the form that was asked for, and no other can be had.
    """
    attempts = cast("PlannedAttempts", call.attempts)
    try:
        score, is_formed = run(
            _judging(call, answer), ask=call.ask_verifier, note=attempts.note_verifier
        )
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        return attempts.unjudged(error, answer, usage_of(call, answer))
    return _told(call, answer, score, is_formed=is_formed)


async def ais_given(call: RoutedCall[Any, Any], answer: Any) -> bool:
    """Score a whole answer as `is_given` does, until the call's deadline at the latest."""
    attempts = cast("PlannedAttempts", call.attempts)
    try:
        scoring = arun(_judging(call, answer), ask=call.ask_verifier, note=attempts.note_verifier)
        score, is_formed = await attempts.before_deadline(scoring)
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        return attempts.unjudged(error, answer, usage_of(call, answer))
    return _told(call, answer, score, is_formed=is_formed)


def _told(call: RoutedCall[Any, Any], answer: Any, score: Score, *, is_formed: bool) -> bool:
    """Tell the call's state what a draft scored; return whether the call has its answer."""
    attempts, usage = cast("PlannedAttempts", call.attempts), usage_of(call, answer)
    if not is_formed:
        return attempts.malformed(score, answer, usage)
    is_whole = not (isinstance(answer, ChunkGate) and answer.score is not None)
    return attempts.judged(score, answer, usage, is_whole=is_whole)


def form_score(prompt: Prompt, answer: Answer) -> Plan[Score | None]:
    """Plan the score of an answer's form; None where no form is asked for and no tool called."""
    forced = prompt.tool_choice not in (None, "auto", "none")
    if not answer.tool_calls and prompt.schema is None and not forced:
        yield from ()
        return None
    return (yield from _FORM.plan(prompt, answer))


def _judging(call: RoutedCall[Any, Any], answer: Any) -> Plan[tuple[Score, bool]]:
    """Plan the score of a draft, and whether it has the form that was asked for."""
    if isinstance(answer, ChunkGate) and answer.score is not None:
        return answer.score, True
    prompt, content = call.prompt(), content_of(call, answer)
    form = yield from form_score(prompt, content)
    if form is not None and form.value < 1.0:
        return form, False
    return (yield from _verifier(call).plan(prompt, content)), True


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
