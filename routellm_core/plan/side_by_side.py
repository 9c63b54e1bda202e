"""Ask several experts at once, and keep the best answer."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, cast

from routellm_core.answers.steps import arun, run, together
from routellm_core.errors import CircuitOpenError
from routellm_core.plan.gate import ChunkGate
from routellm_core.plan.judging import content_of, form_score, usage_of
from routellm_core.plan.planned import Draft, another_may_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from routellm_core.answers.steps import Plan
    from routellm_core.answers.verifier import Score
    from routellm_core.plan.calls import RoutedCall
    from routellm_core.plan.planned import PlannedAttempts
    from routellm_core.plan.steps import AskAll

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
    if not branches:
        raise CircuitOpenError("Every model failed repeatedly, and none is asked for now.")
    pool = ThreadPoolExecutor(len(branches), thread_name_prefix="routellm-best-of")
    try:
        tasks = [
            pool.submit(contextvars.copy_context().run, drive, branch, ask) for branch in branches
        ]
        limit_s = _limit(call, step)
        wait(tasks, timeout=limit_s)
    finally:
        # A model that is still at work cannot be stopped from outside; nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)
    came = [(b, t) for b, t in zip(branches, tasks, strict=True) if t.done()]
    if not came:
        raise TimeoutError(f"No answer within {limit_s:g} s.")
    drafts = _drafts(call, [(branch, task.exception(), task) for branch, task in came])
    scores, fault = None, None
    if len(drafts) > 1:
        try:
            scores = run(_scoring(call, step, drafts), ask=call.ask_verifier)
        except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
            fault = error
    return _chosen(call, drafts, scores, fault)


async def abest_of(
    call: Call, ask: Callable[[Any], Awaitable[Any]], adrive: Callable[[Any, Any], Awaitable[Any]]
) -> Any:
    """Return the best answer as `best_of` does; what is late is cancelled."""
    step, branches = _step(call), _branches(call)
    if not branches:
        raise CircuitOpenError("Every model failed repeatedly, and none is asked for now.")
    tasks = [asyncio.ensure_future(adrive(branch, ask)) for branch in branches]
    try:
        limit_s = _limit(call, step)
        await asyncio.wait(tasks, timeout=limit_s)
        came = [(b, t) for b, t in zip(branches, tasks, strict=True) if t.done()]
    finally:
        late = [task for task in tasks if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    if not came:
        raise TimeoutError(f"No answer within {limit_s:g} s.")
    drafts = _drafts(call, [(branch, task.exception(), task) for branch, task in came])
    scores, fault = None, None
    if len(drafts) > 1:
        scoring = arun(_scoring(call, step, drafts), ask=call.ask_verifier)
        try:
            scores = await call.attempts.before_deadline(scoring)
        except Exception as error:  # noqa: BLE001 - a verifier's fault is never the caller's
            fault = error
    return _chosen(call, drafts, scores, fault)


def _step(call: Call) -> AskAll:
    return cast("AskAll", call.attempts.step)


def _branches(call: Call) -> list[Call]:
    """Return a call for every expert whose breaker lets it be asked."""
    attempts, branches = cast("PlannedAttempts", call.attempts), []
    for name in _step(call).experts:
        try:
            branches.append(call.branch(attempts.branch(name)))
        except CircuitOpenError:
            continue
    return branches


def _limit(call: Call, step: AskAll) -> float | None:
    limits = (step.limit_s, call.attempts.remaining_s)
    return min((limit for limit in limits if limit is not None), default=None)


def _drafts(call: Call, came: Sequence[tuple[Call, BaseException | None, Any]]) -> list[Draft]:
    """Return the answers that came; failures are noted on the call.

    An unusable answer is none where another expert has one. What an answer must not hide is
    raised: a wrong setting, which every call would meet again, and a cancellation.
    """
    usable: list[Draft] = []
    unusable: list[Draft] = []
    for branch, error, task in came:
        call.attempts.failures += branch.attempts.failures
        if error is None:
            answer = task.result()
            draft = Draft(answer, branch.decision, None, usage_of(branch, answer))
            (usable if branch.is_usable(answer) else unusable).append(draft)
        elif not another_may_answer(error):
            raise error
    if not usable and not unusable:
        raise next(error for _, error, _ in came if error is not None)
    return usable or unusable


def _scoring(call: Call, step: AskAll, drafts: Sequence[Draft]) -> Plan[list[Score]]:
    """Plan the drafts' scores; one without the form that was asked for has 0."""
    prompt, answers = call.prompt(), [content_of(call, draft.answer) for draft in drafts]
    scores = yield from step.choose(prompt, answers)
    forms = yield from together([form_score(prompt, answer) for answer in answers])
    return [
        score if form is None or form.value == 1.0 else form
        for score, form in zip(scores, forms, strict=True)
    ]


def _chosen(
    call: Call,
    drafts: list[Draft],
    scores: Sequence[Score] | None,
    fault: Exception | None,
) -> Any:
    if scores is not None:
        drafts = [d._replace(score=s.value) for d, s in zip(drafts, scores, strict=True)]
    best = max(range(len(drafts)), key=lambda place: (drafts[place].score or 0.0, -place))
    reason = "best_of" if fault is None else f"verifier_error:{type(fault).__name__}"
    cast("PlannedAttempts", call.attempts).chosen(drafts, best, reason=reason)
    answer = drafts[best].answer
    if isinstance(answer, ChunkGate):
        answer.call = call  # whose record the chunks carry
    return answer
