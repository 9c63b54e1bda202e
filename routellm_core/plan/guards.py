"""Retries, breakers, a budget and a monitor for each call."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from routellm_core.errors import BudgetExceededError, CircuitOpenError, ConfigurationError
from routellm_core.monitoring.endings import Ending, next_call_number
from routellm_core.monitoring.monitor import Monitor, as_monitor
from routellm_core.plan.attempts import Attempts
from routellm_core.plan.breaker import Breaker, BreakerSettings
from routellm_core.plan.budget import Budget
from routellm_core.plan.planned import PlannedAttempts
from routellm_core.plan.retrying import NO_RETRIES, RetrySettings
from routellm_core.policy.routing import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from routellm_core.plan.attempts import FailedAttempt
    from routellm_core.plan.budget import Reservation
    from routellm_core.policy.decider import Decider
    from routellm_core.types import Decision, Outcome, StepRecord, Usage

__all__ = ["Guards", "make_guards"]

_PAID = ("rejected", "late")
"""Outcomes of steps whose model was paid, beside the answer's own."""
_STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


@dataclass(frozen=True, slots=True)
class Guards:
    """Begin calls, so that each is retried, cut off, paid for and recorded as settings say.

    Parameters
    ----------
    retry
        Tries of the same model, and the deadlines.
    breakers
        The breaker of each route that has one.
    budget
        Reserved from before a call, settled after it.
    monitor
        Told of every call's end.
    """

    retry: RetrySettings = NO_RETRIES
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    budget: Budget | None = None
    monitor: Monitor | None = None

    def begin(
        self,
        decision: Decision,
        *,
        decider: Decider,
        worth_escalating: Callable[[BaseException], bool],
        text: str = "",
        started_s: float | None = None,
    ) -> Attempts:
        """Return the machine that follows one call.

        Parameters
        ----------
        decision
            Where the call goes first.
        decider
            Who decided.
        worth_escalating
            The test that an error must pass for the strong model to be tried.
        text
            What was routed; the monitor keeps its digest.
        started_s
            When deciding began, on the clock of `time.perf_counter`; now if None.

        Raises
        ------
        BudgetExceededError
            If the budget refuses the call.
        CircuitOpenError
            If no model may be asked.
        """
        experts = decider.policy.experts
        if self.monitor is None and self.budget is None and decider.strategy is None:
            return Attempts(
                decision,
                experts=experts,
                worth_escalating=worth_escalating,
                retry=self.retry,
                breakers=self.breakers,
            )
        options = {
            "experts": experts,
            "worth_escalating": worth_escalating,
            "retry": self.retry,
            "breakers": self.breakers,
        }
        if self.monitor is None and self.budget is None:
            return _attempts(decision, decider, options)
        watch = _Watch(self, decision, decider, text, started_s)
        options.update(on_end=watch.ended, clock=perf_counter)
        try:
            if self.budget is not None:
                decision, watch.reservation = self.budget.reserve(
                    decision,
                    cheapest=experts[decision.cheapest or experts.cheapest.name],
                    prompt_chars=len(text),
                    answer_tokens=experts.answer_tokens,
                )
            watch.decision = decision
            affords = None if watch.reservation is None else watch.reservation.extend
            return _attempts(decision, decider, options, affords)
        except (BudgetExceededError, CircuitOpenError) as error:
            watch.refused(error)
            raise
        except BaseException:
            if watch.reservation is not None:
                watch.reservation.release()
            raise


def _attempts(
    decision: Decision,
    decider: Decider,
    options: dict[str, Any],
    affords: Callable[[str], bool] | None = None,
) -> Attempts:
    """Return the state of one call: by a plan where the strategy has one for this decision."""
    strategy: Any = decider.strategy
    plan = None if strategy is None else strategy.plan(decision, decider.policy.experts)
    if plan is None:
        return Attempts(decision, **options)
    if affords is not None:
        options["affords"] = affords
    return PlannedAttempts(
        decision, plan=plan, on_verifier_error=strategy.on_verifier_error, **options
    )


class _Watch:
    """Note what becomes of one call; what can wait is left to `ending`, where nobody waits."""

    __slots__ = (
        "_attempts_failed",
        "_committed_s",
        "_decider",
        "_ended_s",
        "_error",
        "_guards",
        "_is_partial",
        "_number",
        "_outcome",
        "_started_at",
        "_started_s",
        "_steps",
        "_text",
        "_usage",
        "begun_s",
        "decided",
        "decision",
        "reservation",
    )

    def __init__(
        self,
        guards: Guards,
        decision: Decision,
        decider: Decider,
        text: str,
        started_s: float | None,
    ) -> None:
        self._guards = guards
        self._decider = decider
        self._text = text
        self._started_at = time()
        self.begun_s = now = perf_counter()
        self._started_s = now if started_s is None else started_s
        self.decided = self.decision = decision
        self.reservation: Reservation | None = None
        self._attempts_failed: Sequence[FailedAttempt] = ()
        self._committed_s: float | None = None
        self._is_partial = False
        self._steps: tuple[StepRecord, ...] = ()

    def ended(
        self,
        attempts: Attempts,
        outcome: Outcome,
        usage: Usage | None,
        error: BaseException | None,
    ) -> None:
        """Settle the call's budget and hand its end to the monitor."""
        self.decision = attempts.decision
        self._attempts_failed = attempts.failures
        self._steps = tuple(attempts.steps)
        self._committed_s = attempts.committed_s
        self._is_partial = attempts.is_committed and outcome != "answered"
        if self.reservation is not None:
            drafts = [(s.model, s.usage) for s in attempts.steps if s.outcome in _PAID]
            if outcome == "failed" and not attempts.is_committed:
                self.reservation.fail(drafts)
            else:
                self.reservation.settle(self.decision.model, usage, drafts)
        self._hand_over(outcome, usage, error)

    def refused(self, error: Exception) -> None:
        """Note a call for which no model was asked."""
        if self.reservation is not None:
            self.reservation.release()
        self._hand_over("refused", None, error)

    def _hand_over(
        self, outcome: Outcome, usage: Usage | None, error: BaseException | None
    ) -> None:
        monitor = self._guards.monitor
        if monitor is not None:
            self._ended_s = perf_counter()
            self._outcome: Outcome = outcome
            self._usage = usage
            # The class only: an error holds frames, and its message may hold secrets.
            self._error = None if error is None else type(error).__name__
            self._number = next_call_number()
            monitor.note(self.ending)

    def ending(self) -> Ending:
        """Return what the monitor makes a record of."""
        policy, started_s, committed_s = self._decider.policy, self._started_s, self._committed_s
        failed = self._attempts_failed
        finished = self._outcome in ("answered", "abandoned") and self._error is None
        # In the order of its fields: by name it would take twice as long.
        return Ending(
            self._number,
            self._started_at - (self.begun_s - started_s),
            self._outcome,
            self.decision,
            self.decided,
            policy.strong_model,
            policy.weak_model,
            self._decider.router.checkpoint_id,
            self.begun_s - started_s,
            self._ended_s - started_s,
            None if committed_s is None else committed_s - started_s,
            len(failed) + finished + _n_rejected(self._steps),
            tuple([f"{attempt.route}:{attempt.error}" for attempt in failed]) if failed else (),
            self._error,
            self._is_partial,
            self._usage,
            self._text,
            self._steps,
            0.0
            if self.decision.reason == "own_effort"
            else policy.experts.more_tokens(self.decision.route),
        )


def _n_rejected(steps: Sequence[StepRecord]) -> int:
    return sum(step.outcome == "rejected" for step in steps) if steps else 0


def make_guards(
    *,
    retry: Any = None,
    breaker: Any = None,
    budget: Any = None,
    monitor: Any = None,
    models: Iterable[str] = (),
    routes: Iterable[str] = ROUTES,
) -> Guards:
    """Return the guards for an adapter's arguments.

    Parameters
    ----------
    retry
        `RetrySettings`, or how often the same model is tried again; None for never.
    breaker
        `BreakerSettings`, or True for the usual ones; None or False for no breakers.
    budget
        A `Budget`, or US dollars a day; None for no cap.
    monitor
        A `Monitor`, the path of a JSONL log, a function that takes a `CallRecord`, a sink, or a
        list of these; None for no records.
    models
        Names whose prices are looked up now, so that the first call does not wait for them.
    routes
        The names of the experts, each of which gets a breaker of its own.

    Raises
    ------
    ConfigurationError
        If an argument is none of these.
    """
    settings = _breaker_settings(breaker)
    guards = Guards(
        retry=_retry_settings(retry),
        breakers={} if settings is None else {route: Breaker(settings) for route in routes},
        budget=_budget(budget),
        monitor=as_monitor(monitor),
    )
    models = tuple(models)
    if guards.monitor is not None:
        guards.monitor.prepare(models)
        _show(guards, guards.monitor)
    if guards.budget is not None:
        for model in models:
            guards.budget.pricing.price(model)
    return guards


def _show(guards: Guards, monitor: Monitor) -> None:
    """Offer what can be read at any time to the monitor's sinks."""
    for route, breaker in guards.breakers.items():
        monitor.watch("breaker_state", {"route": route}, lambda b=breaker: _STATES[b.state])  # type: ignore[misc]
    budget = guards.budget
    if budget is not None:
        monitor.watch("budget_limit_usd", {"period": budget.period}, lambda: budget.limit_usd)
        monitor.watch("budget_spent_usd", {"period": budget.period}, lambda: budget.spent_usd)
    monitor.watch("records_lost", {}, lambda: monitor.n_lost)


def _retry_settings(value: Any) -> RetrySettings:
    if value is None:
        return NO_RETRIES
    if isinstance(value, RetrySettings):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return RetrySettings(retries=value)
    raise ConfigurationError(
        f"`retry` must be `RetrySettings` or a number of tries, got {type(value).__name__}."
    )


def _breaker_settings(value: Any) -> BreakerSettings | None:
    if value is None or value is False:
        return None
    if value is True:
        return BreakerSettings()
    if isinstance(value, BreakerSettings):
        return value
    raise ConfigurationError(
        f"`breaker` must be `BreakerSettings`, True or False, got {type(value).__name__}."
    )


def _budget(value: Any) -> Budget | None:
    if value is None or isinstance(value, Budget):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Budget(float(value))
    raise ConfigurationError(
        f"`budget` must be a `Budget` or US dollars a day, got {type(value).__name__}."
    )
