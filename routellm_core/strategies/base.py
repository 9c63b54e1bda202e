"""What every strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.experts import ExpertTable
    from routellm_core.plan import OnVerifierError, Plan
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["Strategy"]


class Strategy(ABC):
    """How a call becomes an answer.

    A strategy does no input or output. It says where a call goes first and, if it may take several
    steps, plans them as a generator: each step it yields is taken by the driver, which sends a
    `Report` back when another step is needed.

    A call's own route or threshold, a capability that only one expert has, and a turn that has
    begun go before every strategy.
    """

    name: ClassVar[str]
    """What records call it: the reason of a decision that begins its plan."""

    needs_win_rate: bool = True
    """Whether the router is asked for the first step."""

    on_verifier_error: OnVerifierError = "next"
    """What follows a draft that could not be scored: it is accepted, or the next step is taken."""

    def rated(self, experts: ExpertTable) -> Sequence[str] | None:  # noqa: ARG002
        """Return the models whose qualities the router is asked for; None for a win rate.

        Parameters
        ----------
        experts
            The table; the names are returned in its order, as the router knows them.
        """
        return None

    @abstractmethod
    def first(
        self, policy: RoutingPolicy, turn: Turn, win_rate: Any, overrides: Overrides
    ) -> Decision:
        """Return where a call goes first.

        Parameters
        ----------
        policy
            Its `experts` are the models, its `threshold` that of a pair.
        turn
            What was asked.
        win_rate
            In [0, 1]; None where the router was not asked; of a strategy that has models rated,
            their qualities: shape (m,), each in [0, 1], in the order of the table.
        overrides
            What the call changes.
        """

    def steps(self, decision: Decision, experts: Sequence[str]) -> Plan | None:  # noqa: ARG002
        """Plan the steps of a call that this strategy began; None for a single one.

        Parameters
        ----------
        decision
            The first step's.
        experts
            The names of those that can take the call, the cheapest first.
        """
        return None

    def plan(self, decision: Decision, experts: ExpertTable) -> Plan | None:
        """Plan a call's steps; None where another rule than this strategy decided."""
        if decision.reason != self.name:
            return None
        return self.steps(decision, decision.order or experts.names)
