"""From a decision to an answer: attempts, retries, breakers, budgets, plans and their drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.plan.attempts import Attempts, FailedAttempt
from routellm_core.plan.breaker import Breaker, BreakerSettings, BreakerState, Permit
from routellm_core.plan.budget import Budget, BudgetPeriod, OverBudget, Reservation
from routellm_core.plan.calls import RoutedCall
from routellm_core.plan.gate import ChunkGate
from routellm_core.plan.guards import Guards, make_guards
from routellm_core.plan.planned import Draft, OnVerifierError, PlannedAttempts
from routellm_core.plan.retrying import NO_RETRIES, RetrySettings, escalation_filter
from routellm_core.plan.shadow import Shadow
from routellm_core.plan.shadow_settings import AskOther, OtherAnswer, ShadowSettings
from routellm_core.plan.steps import Ask, AskAll, Plan, Report

if TYPE_CHECKING:
    from routellm_core.plan.loops import adrive, aopened, astream, drive, opened, stream

__all__ = [
    "NO_RETRIES",
    "Ask",
    "AskAll",
    "AskOther",
    "Attempts",
    "Breaker",
    "BreakerSettings",
    "BreakerState",
    "Budget",
    "BudgetPeriod",
    "ChunkGate",
    "Draft",
    "FailedAttempt",
    "Guards",
    "OnVerifierError",
    "OtherAnswer",
    "OverBudget",
    "Permit",
    "Plan",
    "PlannedAttempts",
    "Report",
    "Reservation",
    "RetrySettings",
    "RoutedCall",
    "Shadow",
    "ShadowSettings",
    "adrive",
    "aopened",
    "astream",
    "drive",
    "escalation_filter",
    "make_guards",
    "opened",
    "stream",
]

_LOOPS = frozenset({"adrive", "aopened", "astream", "drive", "opened", "stream"})


def __getattr__(name: str) -> Any:
    # They import asyncio and the verifiers, which a decision alone does without.
    if name not in _LOOPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from routellm_core.plan import loops

    return getattr(loops, name)
