"""A router and a policy, together: turns in, decisions out, sync and async."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from routellm_core.errors import ConfigurationError
from routellm_core.policy.memory import ScoreMemory
from routellm_core.policy.routing import NO_OVERRIDES, Overrides, RoutingPolicy
from routellm_core.policy.scoring import Scorer, timeouts
from routellm_core.policy.threshold_notes import note_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from routellm_core.experts import ExpertTable
    from routellm_core.policy.conversation import Turn
    from routellm_core.routers.base import Router
    from routellm_core.types import Decision

__all__ = ["Decider", "FirstStep"]

logger = logging.getLogger(__name__)


class FirstStep(Protocol):
    """What a strategy tells the decider: where a call goes first."""

    @property
    def needs_win_rate(self) -> bool:
        """Whether the router is asked."""
        ...

    def rated(self, experts: ExpertTable) -> Sequence[str] | None:
        """Return the models whose qualities the router is asked for; None for a win rate."""
        ...

    def first(
        self, policy: RoutingPolicy, turn: Turn, win_rate: Any, overrides: Overrides
    ) -> Decision:
        """Return where the call goes first."""
        ...


class Decider:
    """Ask the router only when the policy needs it, and survive whatever the router does.

    Whatever a router raises, a call gets a decision: the policy's route for router errors, with
    the error's class as the reason.

    Parameters
    ----------
    router
        Scores the texts.
    policy
        Makes decisions of the scores.
    remember
        How many of the latest win rates are kept, for calls that ask again about a text, as the
        steps of an agent do. Batches are scored as they come.
    deadline_s
        Seconds that a router may take for one text, unless it scores inline; None for no limit.
    strategy
        Decides where a call goes first, unless the call sets its own threshold; None for a win rate
        against the policy's threshold.
    """

    __slots__ = ("_memory", "_rates", "_scorer", "policy", "router", "strategy")

    def __init__(
        self,
        router: Router,
        policy: RoutingPolicy,
        *,
        remember: int = 0,
        deadline_s: float | None = None,
        strategy: FirstStep | None = None,
    ) -> None:
        self.router = router
        self.policy = policy
        self.strategy = strategy
        models = None if strategy is None else strategy.rated(policy.experts)
        self._rates = models is not None
        self._scorer = Scorer(router, deadline_s=deadline_s, models=models)
        if models is not None:
            router.qualities((), models)  # refuses models that the router does not know, now
        self._memory = ScoreMemory(self._scorer, size=remember)

    def decide(self, turn: Turn, overrides: Overrides = NO_OVERRIDES) -> Decision:
        """Return the decision for one turn."""
        decision = self._before(turn, overrides)
        if decision is not None:
            return decision
        try:
            win_rate = self._memory.win_rate(turn.text)
        except Exception as error:  # noqa: BLE001 - a router's fault is never the caller's
            return self._survive(error, turn, overrides)
        return self._after(win_rate, turn, overrides)

    async def adecide(self, turn: Turn, overrides: Overrides = NO_OVERRIDES) -> Decision:
        """Return the decision for one turn without blocking the event loop."""
        if self._scorer.is_inline:
            return self.decide(turn, overrides)
        decision = self._before(turn, overrides)
        if decision is not None:
            return decision
        try:
            win_rate = await self._memory.awin_rate(turn.text)
        except Exception as error:  # noqa: BLE001 - a router's fault is never the caller's
            return self._survive(error, turn, overrides)
        return self._after(win_rate, turn, overrides)

    def decide_many(self, turns: Sequence[Turn], overrides: Sequence[Overrides]) -> list[Decision]:
        """Return n decisions for n turns, scoring in one batch what has to be scored.

        When the batch fails, its turns are scored one by one, so that a prompt on which the router
        fails costs no other its win rate; a batch that runs late is given up whole.
        """
        decisions, open_turns = self._before_scoring(turns, overrides)
        if not open_turns:
            return decisions
        try:
            win_rates = self._scorer.win_rates([turns[index].text for index in open_turns])
        except timeouts() as error:
            for index in open_turns:
                decisions[index] = self._survive(error, turns[index], overrides[index])
            return decisions
        except Exception:  # noqa: BLE001 - scored again, one by one
            for index in open_turns:
                decisions[index] = self.decide(turns[index], overrides[index])
            return decisions
        for index, win_rate in zip(open_turns, self._values(win_rates), strict=True):
            decisions[index] = self._after(win_rate, turns[index], overrides[index])
        return decisions

    async def adecide_many(
        self, turns: Sequence[Turn], overrides: Sequence[Overrides]
    ) -> list[Decision]:
        """Return n decisions as `decide_many` does, without blocking the event loop."""
        decisions, open_turns = self._before_scoring(turns, overrides)
        if not open_turns:
            return decisions
        try:
            win_rates = await self._scorer.awin_rates([turns[index].text for index in open_turns])
        except timeouts() as error:
            for index in open_turns:
                decisions[index] = self._survive(error, turns[index], overrides[index])
            return decisions
        except Exception:  # noqa: BLE001 - scored again, one by one
            for index in open_turns:
                decisions[index] = await self.adecide(turns[index], overrides[index])
            return decisions
        for index, win_rate in zip(open_turns, self._values(win_rates), strict=True):
            decisions[index] = self._after(win_rate, turns[index], overrides[index])
        return decisions

    def _before(self, turn: Turn, overrides: Overrides) -> Decision | None:
        if overrides.threshold is not None:
            if self._rates:
                raise ConfigurationError(
                    f"`routellm_threshold` {overrides.threshold!r} needs a win rate, and the "
                    "strategy has the router rate every expert. Set `routellm_route` instead."
                )
            note_threshold(self.router, overrides.threshold)
        decision = self.policy.before_scoring(turn, overrides)
        strategy = self.strategy
        if decision is not None or strategy is None or overrides.threshold is not None:
            return decision
        return None if strategy.needs_win_rate else self._first(turn, None, overrides)

    def _values(self, scores: NDArray[np.float64]) -> Sequence[Any]:
        return scores.tolist() if scores.ndim == 1 else list(scores)

    def _after(self, win_rate: Any, turn: Turn, overrides: Overrides) -> Decision:
        if self.strategy is None or overrides.threshold is not None:
            return self.policy.after_scoring(win_rate, overrides, turn=turn)
        return self._first(turn, win_rate, overrides)

    def _first(self, turn: Turn, win_rate: Any, overrides: Overrides) -> Decision:
        assert self.strategy is not None  # noqa: S101 - callers see to it
        return self.strategy.first(self.policy, turn, win_rate, overrides)

    def _before_scoring(
        self, turns: Sequence[Turn], overrides: Sequence[Overrides]
    ) -> tuple[list[Decision], list[int]]:
        """Return a decision for every turn, and the indices of those that stand in for a score."""
        decisions: list[Decision] = []
        open_turns: list[int] = []
        for index, (turn, override) in enumerate(zip(turns, overrides, strict=True)):
            decision = self._before(turn, override)
            if decision is None:
                open_turns.append(index)
                decision = _PENDING
            decisions.append(decision)
        return decisions, open_turns

    def _survive(self, error: Exception, turn: Turn, overrides: Overrides) -> Decision:
        logger.warning("Router %r failed with %s.", self.router.name, type(error).__name__)
        return self.policy.after_router_error(error, overrides, turn)


def _pending() -> Decision:
    from routellm_core.types import Decision

    return Decision("strong", "", None, None, "", "pending")


_PENDING = _pending()
