"""Ask one model, chosen from the prompt alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from routellm_core.strategies.base import Strategy

if TYPE_CHECKING:
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["Predict"]


class Predict(Strategy):
    """Send each call of a pair by its win rate: the default.

    A win rate >= the policy's threshold goes to the strong model.
    """

    name: ClassVar[str] = "predict"

    def first(
        self,
        policy: RoutingPolicy,
        turn: Turn,  # noqa: ARG002
        win_rate: float | None,
        overrides: Overrides,
    ) -> Decision:
        """Return the decision for a win rate."""
        assert win_rate is not None  # noqa: S101 - the decider sees to it
        return policy.after_scoring(win_rate, overrides)
