"""Retries, breakers, a budget and a monitor for each call."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from routellm_core.errors import BudgetExceededError, CircuitOpenError, ConfigurationError
from routellm_core.monitoring.monitor import Monitor, as_monitor
from routellm_core.plan.attempts import Attempts
from routellm_core.plan.breaker import Breaker, BreakerSettings
from routellm_core.plan.budget import Budget
from routellm_core.plan.call_watch import CallWatch
from routellm_core.plan.planned import PlannedAttempts
from routellm_core.plan.retrying import NO_RETRIES, RetrySettings
from routellm_core.plan.shadow import make_shadow
from routellm_core.policy.routing import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from routellm_core.monitoring.call_notes import Score
    from routellm_core.plan.shadow import Shadow, ShadowedCall
    from routellm_core.policy.decider import Decider
    from routellm_core.types import Decision, Usage

__all__ = ["Guards", "make_guards"]

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
    shadow
        Asks another model, too, of a share of the calls.
    """

    retry: RetrySettings = NO_RETRIES
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    budget: Budget | None = None
    monitor: Monitor | None = None
    shadow: Shadow | None = None

    def begin(
        self,
        decision: Decision,
        *,
        decider: Decider,
        worth_escalating: Callable[[BaseException], bool],
        text: str = "",
        started_s: float | None = None,
        on_answer: Callable[[str, str, Usage | None], None] | None = None,
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
        on_answer
            Told the expert, the model and the usage of each whole answer; None for nobody.

        Raises
        ------
        BudgetExceededError
            If the budget refuses the call.
        CircuitOpenError
            If no model may be asked.
        """
        experts = decider.policy.experts
        unwatched = self.monitor is None and self.budget is None and on_answer is None
        if unwatched and decider.strategy is None:
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
        if unwatched:
            return _attempts(decision, decider, options)
        watch = CallWatch(self, decision, decider, text, started_s)
        decision = watch.decided
        watch.on_answer = on_answer
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
            if self.shadow is not None:
                watch.shadowed = self.shadow.draw(decision, experts)
            return _attempts(decision, decider, options, affords, watch.shadowed)
        except (BudgetExceededError, CircuitOpenError) as error:
            watch.refused(error)
            raise
        except BaseException:
            if watch.reservation is not None:
                watch.reservation.release()
            raise

    def record_outcome(self, call_id: str, score: Score, *, comment: str | None = None) -> None:
        """Write down how good an answer was; see `Monitor.record_outcome`.

        Raises
        ------
        ConfigurationError
            If a value cannot be used, or there is no monitor.
        """
        if self.monitor is None:
            raise ConfigurationError(
                "An outcome is written beside the record of its call: pass the path of a JSONL log "
                "as `monitor`."
            )
        self.monitor.record_outcome(call_id, score, comment=comment)


def _attempts(
    decision: Decision,
    decider: Decider,
    options: dict[str, Any],
    affords: Callable[[str], bool] | None = None,
    shadowed: ShadowedCall | None = None,
) -> Attempts:
    """Return the state of one call: by a plan where the strategy has one for this decision."""
    strategy: Any = decider.strategy
    plan = None if strategy is None else strategy.plan(decision, decider.policy.experts)
    if plan is None and shadowed is None:
        return Attempts(decision, **options)
    if plan is not None:
        if affords is not None:
            options["affords"] = affords
        options.update(plan=plan, on_verifier_error=strategy.on_verifier_error)
    if shadowed is None:
        return PlannedAttempts(decision, **options)
    kind = _ShadowedAttempts if plan is None else _ShadowedPlan
    attempts: Any = kind(decision, **options)
    attempts.shadow = shadowed
    return cast("Attempts", attempts)


class _ShadowedAttempts(Attempts):
    """Attempts of a sampled call."""

    __slots__ = ("shadow",)


class _ShadowedPlan(PlannedAttempts):
    """A plan's attempts of a sampled call."""

    __slots__ = ("shadow",)


def make_guards(
    *,
    retry: Any = None,
    breaker: Any = None,
    budget: Any = None,
    monitor: Any = None,
    shadow: Any = None,
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
    shadow
        The share of calls after which another model is asked, too, or `ShadowSettings`; None for
        none. Its answers go to the monitor's log.
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
    recorder = as_monitor(monitor)
    guards = Guards(
        retry=_retry_settings(retry),
        breakers={} if settings is None else {route: Breaker(settings) for route in routes},
        budget=_budget(budget),
        monitor=recorder,
        shadow=make_shadow(shadow, recorder),
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
    shadow = guards.shadow
    if shadow is not None:
        monitor.watch("shadow_answers", {}, lambda: shadow.n_answered)
        monitor.watch("shadow_failed", {}, lambda: shadow.n_failed)
        monitor.watch("shadow_dropped", {}, lambda: shadow.n_dropped)
        monitor.watch("shadow_over_budget", {}, lambda: shadow.n_over_budget)


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
