"""Ask several experts at once, and keep the best answer."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor, wait
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from routellm_core.answers.steps import arun, run, together
from routellm_core.answers.verifier import Score
from routellm_core.errors import CircuitOpenError, EmptyAnswerError
from routellm_core.plan.gate import ChunkGate
from routellm_core.plan.judging import content_of, form_score, usage_of
from routellm_core.plan.planned import Draft, another_may_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from routellm_core.answers.steps import Plan
    from routellm_core.plan.calls import RoutedCall
    from routellm_core.plan.planned import PlannedAttempts
    from routellm_core.plan.steps import AskAll
    from routellm_core.types import Decision

    Call = RoutedCall[Any, Any]

__all__ = ["abest_of", "best_of"]


def best_of(call: Call, ask: Callable[[Any], Any], drive: Callable[[Any, Any], Any]) -> Any:
    """Return the best of the answers that the current step's experts give.

    Parameters
    ----------
    call
        At a step that asks several experts.
    ask
        As `drive` takes it.
    drive
        Gets one answer.

    Raises
    ------
    Exception
        The first expert's, if none answers.
    """
    step, branches = _step(call), _branches(call)
    limit_s = _limit(call, step)

    def timed(branch: Call) -> tuple[Any, float]:
        began = perf_counter()
        return drive(branch, ask), perf_counter() - began

    pool = ThreadPoolExecutor(len(branches), thread_name_prefix="routellm-best-of")
    try:
        tasks = [pool.submit(contextvars.copy_context().run, timed, branch) for branch in branches]
        wait(tasks, timeout=limit_s)
    finally:
        # A model that is still at work cannot be stopped from outside; nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)
    drafts, late = _came(call, branches, tasks, limit_s)
    scores, fault, note = None, None, _planned(call).note_verifier
    try:
        scores = run(_scoring(call, step, drafts), ask=call.ask_verifier, note=note)
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        fault = error
    return _chosen(call, drafts, scores, late=late, fault=fault)


async def abest_of(
    call: Call, ask: Callable[[Any], Awaitable[Any]], adrive: Callable[[Any, Any], Awaitable[Any]]
) -> Any:
    """Return the best answer as `best_of` does; what is late is cancelled."""
    step, branches = _step(call), _branches(call)
    limit_s = _limit(call, step)

    async def timed(branch: Call) -> tuple[Any, float]:
        began = perf_counter()
        return await adrive(branch, ask), perf_counter() - began

    tasks = [asyncio.ensure_future(timed(branch)) for branch in branches]
    done: Collection[Any] = ()
    try:
        done, _ = await asyncio.wait(tasks, timeout=limit_s)
    finally:
        waiting = [task for task in tasks if task not in done]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    came = [task if task in done else None for task in tasks]
    drafts, late = _came(call, branches, came, limit_s)
    scores, fault, note = None, None, _planned(call).note_verifier
    try:
        scoring = arun(_scoring(call, step, drafts), ask=call.ask_verifier, note=note)
        scores = await call.attempts.before_deadline(scoring)
    except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
        fault = error
    return _chosen(call, drafts, scores, late=late, fault=fault)


def _planned(call: Call) -> PlannedAttempts:
    return cast("PlannedAttempts", call.attempts)


def _step(call: Call) -> AskAll:
    return cast("AskAll", call.attempts.step)


def _branches(call: Call) -> list[Call]:
    """Return a call for every expert whose breaker lets it be asked.

    Raises
    ------
    CircuitOpenError
        If there is none.
    """
    attempts, branches = _planned(call), []
    for name in _step(call).experts:
        try:
            branches.append(call.branch(attempts.branch(name)))
        except CircuitOpenError:
            continue
    if not branches:
        raise CircuitOpenError("Every model failed repeatedly, and none is asked for now.")
    return branches


def _limit(call: Call, step: AskAll) -> float | None:
    limits = (step.limit_s, call.attempts.remaining_s)
    return min((limit for limit in limits if limit is not None), default=None)


def _came(
    call: Call, branches: Sequence[Call], tasks: Sequence[Any], limit_s: float | None
) -> tuple[list[Draft], list[Decision]]:
    """Return the answers that came, and who is late; failures are noted on the call.

    An unusable answer is none where another expert has one. What an answer must not hide is
    raised: a wrong setting, which every call would meet again, and a cancellation.
    """
    usable: list[Draft] = []
    unusable: list[Draft] = []
    late: list[Decision] = []
    errors: list[BaseException] = []
    for branch, task in zip(branches, tasks, strict=True):
        if task is None or not task.done():
            branch.attempts.give_up()
            late.append(branch.decision)
            continue
        call.attempts.failures += branch.attempts.failures
        error = task.exception()
        if error is None:
            answer, seconds = task.result()
            draft = Draft(answer, branch.decision, None, usage_of(branch, answer), seconds)
            (usable if branch.is_usable(answer) else unusable).append(draft)
        elif another_may_answer(error):
            errors.append(error)
        else:
            raise error
    if not usable and not unusable:
        raise errors[0] if errors else TimeoutError(f"No answer within {limit_s:g} s.")
    return usable or unusable, late


def _scoring(call: Call, step: AskAll, drafts: Sequence[Draft]) -> Plan[list[Score | None]]:
    """Plan the drafts' scores, None for one without the form that was asked for."""
    prompt, answers = call.prompt(), [content_of(call, draft.answer) for draft in drafts]
    forms = yield from together([form_score(prompt, answer) for answer in answers])
    formed = [place for place, form in enumerate(forms) if form is None or form.value == 1.0]
    found: list[Score | None] = [None] * len(drafts)
    if len(formed) == 1:
        found[formed[0]] = Score(1.0, "the only one")
    elif formed:
        scores = yield from step.choose(prompt, [answers[place] for place in formed])
        for place, score in zip(formed, scores, strict=True):
            found[place] = score
    return found


def _chosen(
    call: Call,
    drafts: list[Draft],
    scores: Sequence[Score | None] | None,
    *,
    late: Sequence[Decision],
    fault: Exception | None,
) -> Any:
    """Return the best draft's answer.

    Raises
    ------
    EmptyAnswerError
        If none has the form that was asked for: its tool calls must not be made.
    """
    best, reason = 0, "best_of"
    if fault is not None:
        reason = f"verifier_error:{type(fault).__name__}"
    elif scores is not None:
        if all(score is None for score in scores):
            raise EmptyAnswerError("No expert's answer has the form that was asked for.")
        if len(drafts) > 1:
            drafts = [
                draft._replace(score=0.0 if score is None else score.value)
                for draft, score in zip(drafts, scores, strict=True)
            ]
        best = max(
            (place for place, score in enumerate(scores) if score is not None),
            key=lambda place: (drafts[place].score or 0.0, -place),
        )
    _planned(call).chosen(drafts, best, late=late, reason=reason)
    answer = drafts[best].answer
    if isinstance(answer, ChunkGate):
        answer.call = call  # whose record the chunks carry
    return answer
