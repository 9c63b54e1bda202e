"""What an answer's headers tell of the drafts that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routellm_core.monitoring.endings import Pricing
    from routellm_core.plan import Attempts

__all__ = ["strategy_headers"]


def strategy_headers(attempts: Attempts, pricing: Pricing) -> dict[str, str]:
    """Return the headers of an answer that a strategy found.

    Parameters
    ----------
    attempts
        The call's state, once its answer is settled.
    pricing
        Knows what models cost.

    Returns
    -------
    "x-routellm-drafts": how many drafts were rejected. "x-routellm-total-cost-usd": what all of its
    steps cost, in US dollars, with what verifiers asked; left out while a price or a count of
    tokens is unknown, as it is of an answer that has not ended.
    """
    steps = attempts.steps
    headers = {"x-routellm-drafts": str(sum(step.outcome == "rejected" for step in steps))}
    costs = [
        None if step.usage is None else pricing.cost_usd(step.model, step.usage)
        for step in steps
        if not step.outcome.startswith("failed:")
    ]
    is_settled = any(step.outcome in ("accepted", "answered") for step in steps)
    if is_settled and None not in costs:
        headers["x-routellm-total-cost-usd"] = f"{sum(cost for cost in costs if cost):.9g}"
    return headers
