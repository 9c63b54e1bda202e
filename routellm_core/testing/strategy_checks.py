"""What every strategy must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.experts import ExpertTable
from routellm_core.plan import Ask, AskAll, Attempts, PlannedAttempts, Report
from routellm_core.policy import NO_OVERRIDES, Overrides, RoutingPolicy, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from routellm_core.plan import Plan
    from routellm_core.strategies import Strategy

__all__ = ["STRATEGY_CHECKS"]

_PAIR = ExpertTable.of_pair(strong_model="big", weak_model="small")
_MOST_STEPS = 100


def check_it_has_a_name(strategy: Strategy) -> None:
    """Ask for a name of its own, without a colon: records tell it from other reasons."""
    _expect(isinstance(strategy.name, str) and bool(strategy.name), "needs a name")
    _expect(":" not in strategy.name, f"name {strategy.name!r} holds a colon")


def check_it_starts_with_an_expert_of_the_table(strategy: Strategy) -> None:
    """Ask for a first step within the table, for every win rate."""
    for decision in _decisions(strategy):
        _expect(decision.route in _PAIR.names, f"route {decision.route!r} is not in the table")
        _expect(
            decision.model == _PAIR[decision.route].model, f"model {decision.model!r} is another's"
        )


def check_its_plan_begins_where_it_said(strategy: Strategy) -> None:
    """Ask for a plan whose first step asks the decision's expert."""
    for decision in _decisions(strategy):
        plan = strategy.plan(decision, _PAIR)
        if plan is None:
            continue
        step = next(plan)
        names = step.experts if isinstance(step, AskAll) else (step.expert,)
        _expect(decision.route in names, f"{decision.route!r} decided and {names!r} asked")
        plan.close()


def check_its_plan_ends(strategy: Strategy) -> None:
    """Ask for an end, whether every answer is rejected or every expert fails."""
    for decision in _decisions(strategy):
        for report in (Report(score=0.0), Report(score=1.0), Report(error=TimeoutError())):
            plan = strategy.plan(decision, _PAIR)
            if plan is not None:
                _follow(plan, report)


def check_it_plans_nothing_that_others_decided(strategy: Strategy) -> None:
    """Ask for no plan where a call's own route or a turn that has begun decided."""
    policy = _policy()
    for reason in ("override", "sticky", "capability:image", "budget"):
        _expect(
            strategy.plan(policy.decision("weak", reason), _PAIR) is None,
            f"plans a call that {reason!r} decided",
        )


def check_it_keeps_nothing_of_a_call(strategy: Strategy) -> None:
    """Ask for the same first step when the same is asked again."""
    first, second = _decisions(strategy), _decisions(strategy)
    _expect(first == second, "decides otherwise the second time")


def check_it_can_be_driven(strategy: Strategy) -> None:
    """Ask for a plan that the state of a call follows to an answer."""
    for decision in _decisions(strategy):
        plan = strategy.plan(decision, _PAIR)
        options: dict[str, Any] = {"experts": _PAIR, "worth_escalating": lambda _: True}
        if plan is None:
            attempts = Attempts(decision, **options)
        else:
            attempts = PlannedAttempts(decision, plan=plan, **options)
        for _ in range(_MOST_STEPS):
            if not attempts.failed(TimeoutError("gone")):
                return
        _expect(condition=False, says="no end of failures")


STRATEGY_CHECKS: tuple[Callable[[Strategy], None], ...] = (
    check_it_has_a_name,
    check_it_starts_with_an_expert_of_the_table,
    check_its_plan_begins_where_it_said,
    check_its_plan_ends,
    check_it_plans_nothing_that_others_decided,
    check_it_keeps_nothing_of_a_call,
    check_it_can_be_driven,
)
"""Functions of a strategy for the pair of "weak" and "strong"; each raises `AssertionError`."""


def _policy() -> RoutingPolicy:
    return RoutingPolicy(threshold=0.5, router="scripted", experts=_PAIR)


def _decisions(strategy: Strategy) -> list[Any]:
    policy, turn = _policy(), Turn("Why is the sky blue?")
    overrides: Overrides = NO_OVERRIDES
    if not strategy.needs_win_rate:
        return [strategy.first(policy, turn, None, overrides)]
    if strategy.rated(_PAIR) is not None:
        rates: list[Any] = [(0.1, 0.9), (0.5, 0.5), (0.9, 0.1)]
    else:
        rates = [0.0, 0.3, 0.5, 0.7, 1.0]
    return [strategy.first(policy, turn, rate, overrides) for rate in rates]


def _follow(plan: Plan, report: Report) -> None:
    """Take a plan's steps to its end, with one report on each."""
    _check_step(next(plan))
    for _ in range(_MOST_STEPS):
        try:
            _check_step(plan.send(report))
        except StopIteration:
            return
    _expect(condition=False, says=f"takes more than {_MOST_STEPS} steps")


def _check_step(step: Any) -> None:
    if isinstance(step, AskAll):
        _expect(bool(step.experts), "asks nobody")
        _expect(all(name in _PAIR.names for name in step.experts), f"asks {step.experts!r}")
    else:
        _expect(isinstance(step, Ask), f"yields a {type(step).__name__}")
        _expect(step.expert in _PAIR.names, f"asks {step.expert!r}")


def _expect(condition: bool, says: str) -> None:
    if not condition:
        raise AssertionError(says)
