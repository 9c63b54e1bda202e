"""Ask several experts at once, and give out the best answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from routellm_core.answers.steps import together
from routellm_core.answers.verifier import Verifier
from routellm_core.errors import ConfigurationError
from routellm_core.plan.steps import AskAll
from routellm_core.strategies.base import Strategy
from routellm_core.strategies.cascade import check_verifier
from routellm_core.strategies.choosing import consensus, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Plan as ScoringPlan
    from routellm_core.answers.verifier import Score
    from routellm_core.plan import Plan
    from routellm_core.plan.steps import Choose
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["BestOf"]

_BY_NAME = {"consensus": consensus, "vote": vote}


class BestOf(Strategy):
    """Ask several experts, or one several times, and give out the best of their answers.

    Parameters
    ----------
    experts
        Names of the experts; one may stand there more than once, for several samples. Or a number
        of samples of the cheapest expert, at least 2. None for every expert once.
    choose
        A `Verifier`, or the name of one: the answer with the highest score. "consensus": the one
        that is most like the others (at least 3 are needed). "vote": the most frequent final
        answer. Ties go to the cheaper expert.
    limit_s
        Seconds, above 0, after which the best of the answers that have come is given; None for no
        limit.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    name: ClassVar[str] = "best_of"
    needs_win_rate = False

    def __init__(
        self,
        experts: Sequence[str] | int | None = None,
        *,
        choose: Verifier | str,
        limit_s: float | None = None,
    ) -> None:
        if isinstance(experts, (bool, str)) or (isinstance(experts, int) and experts < 2):
            raise ConfigurationError(
                "`experts` must be names of experts, or a number of samples of at least 2, got "
                f"{experts!r}."
            )
        if limit_s is not None and not limit_s > 0.0:
            raise ConfigurationError(f"`limit_s` must be above 0, got {limit_s!r}.")
        self.experts = experts if isinstance(experts, int) or experts is None else tuple(experts)
        self.limit_s = limit_s
        self._choose = _choosing(choose)
        self._choice = choose
        if self._choice == "consensus" and self.experts is not None and self.n_asked < 3:
            raise ConfigurationError(
                "`choose='consensus'` needs at least 3 answers: of 2, each is as like the other as "
                "the other is like it."
            )

    @property
    def n_asked(self) -> int:
        """How many answers are asked for; 0 where it depends on the table."""
        if self.experts is None:
            return 0
        return self.experts if isinstance(self.experts, int) else len(self.experts)

    def first(
        self,
        policy: RoutingPolicy,
        turn: Turn,
        win_rate: Any,
        overrides: Overrides,  # noqa: ARG002
    ) -> Decision:
        """Return the cheapest expert that can take the turn."""
        for name in self.experts if isinstance(self.experts, tuple) else ():
            policy.experts.check(name, argument="experts")
        return policy.planned(turn, self.name, win_rate=win_rate)

    def steps(self, decision: Decision, experts: Sequence[str]) -> Plan:
        """Plan the one step, for the experts that can take the call."""
        if isinstance(self.experts, int):
            names = (decision.route,) * self.experts
        else:
            asked = experts if self.experts is None else self.experts
            names = tuple(name for name in asked if name in experts)
        yield AskAll(names or (decision.route,), self._choose, self.limit_s)

    def __repr__(self) -> str:
        return f"BestOf({self.experts!r}, choose={self._choice!r})"


def _choosing(choose: Verifier | str) -> Choose:
    if isinstance(choose, str) and choose in _BY_NAME:
        return _BY_NAME[choose]
    return _ByVerifier(check_verifier(choose))


class _ByVerifier:
    """Score each answer by a verifier; a class, so that a strategy can be pickled."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def __call__(self, prompt: Prompt, answers: Sequence[Answer]) -> ScoringPlan[Sequence[Score]]:
        found = yield from together([self._verifier.plan(prompt, one) for one in answers])
        return [score for score in found if score is not None]
