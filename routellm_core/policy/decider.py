"""A router and a policy, together: turns in, decisions out, sync and async."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from routellm_core.policy.memory import ScoreMemory
from routellm_core.policy.routing import NO_OVERRIDES, Overrides, RoutingPolicy
from routellm_core.policy.scoring import TIMEOUTS, Scorer
from routellm_core.policy.threshold_notes import note_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.policy.conversation import Turn
    from routellm_core.routers.base import Router
    from routellm_core.types import Decision

__all__ = ["Decider"]

logger = logging.getLogger(__name__)


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
        Seconds that a router may take for one text, unless it scores inline; None means any time.
    """

    __slots__ = ("_memory", "_scorer", "policy", "router")

    def __init__(
        self,
        router: Router,
        policy: RoutingPolicy,
        *,
        remember: int = 0,
        deadline_s: float | None = None,
    ) -> None:
        self.router = router
        self.policy = policy
        self._scorer = Scorer(router, deadline_s=deadline_s)
        self._memory = ScoreMemory(self._scorer, size=remember)

    def decide(self, turn: Turn, overrides: Overrides = NO_OVERRIDES) -> Decision:
        """Return the decision for one turn."""
        decision = self._before(turn, overrides)
        if decision is not None:
            return decision
        try:
            win_rate = self._memory.win_rate(turn.text)
        except Exception as error:  # noqa: BLE001 - a router's fault is never the caller's
            return self._survive(error, overrides)
        return self.policy.after_scoring(win_rate, overrides)

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
            return self._survive(error, overrides)
        return self.policy.after_scoring(win_rate, overrides)

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
        except TIMEOUTS as error:
            for index in open_turns:
                decisions[index] = self._survive(error, overrides[index])
            return decisions
        except Exception:  # noqa: BLE001 - scored again, one by one
            for index in open_turns:
                decisions[index] = self.decide(turns[index], overrides[index])
            return decisions
        for index, win_rate in zip(open_turns, win_rates.tolist(), strict=True):
            decisions[index] = self.policy.after_scoring(win_rate, overrides[index])
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
        except TIMEOUTS as error:
            for index in open_turns:
                decisions[index] = self._survive(error, overrides[index])
            return decisions
        except Exception:  # noqa: BLE001 - scored again, one by one
            for index in open_turns:
                decisions[index] = await self.adecide(turns[index], overrides[index])
            return decisions
        for index, win_rate in zip(open_turns, win_rates.tolist(), strict=True):
            decisions[index] = self.policy.after_scoring(win_rate, overrides[index])
        return decisions

    def _before(self, turn: Turn, overrides: Overrides) -> Decision | None:
        if overrides.threshold is not None:
            note_threshold(self.router, overrides.threshold)
        return self.policy.before_scoring(turn, overrides)

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

    def _survive(self, error: Exception, overrides: Overrides) -> Decision:
        logger.warning("Router %r failed with %s.", self.router.name, type(error).__name__)
        return self.policy.after_router_error(error, overrides)


def _pending() -> Decision:
    from routellm_core.types import Decision

    return Decision("strong", "", None, None, "", "pending")


_PENDING = _pending()
