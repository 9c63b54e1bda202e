"""Ask the cheapest expert first, and go on until an answer is good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from routellm_core.answers.registry import load_verifier
from routellm_core.answers.verifier import Verifier, check_level
from routellm_core.errors import ConfigurationError
from routellm_core.plan.steps import Ask
from routellm_core.strategies.base import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.plan import OnVerifierError, Plan
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["Cascade", "check_on_verifier_error", "check_verifier"]


class Cascade(Strategy):
    """Ask the experts in the order of their price until a verifier accepts an answer.

    The last expert's answer is not scored. An answer that is rejected is never given out: a stream
    is held back until it is accepted, and no tool runs for a rejected one.

    Parameters
    ----------
    verifier
        Scores an answer to its prompt in [0, 1]; a `Verifier`, or the name of one.
    accept
        An answer whose score is at least this high is the answer to the call: 0 accepts all, and
        more than 1 nothing. One level for all experts, or one for each but the last.
    on_verifier_error
        Whether an answer that could not be scored is accepted, or the next expert is asked.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.

    Examples
    --------
    >>> from routellm_core.answers import no_refusal
    >>> Cascade(no_refusal(), accept=0.5)
    Cascade(<verifier no_refusal>, accept=0.5)
    """

    name: ClassVar[str] = "cascade"

    def __init__(
        self,
        verifier: Verifier | str,
        *,
        accept: float | Sequence[float],
        on_verifier_error: OnVerifierError = "next",
    ) -> None:
        self.verifier = check_verifier(verifier)
        self.accept = (
            check_level(accept)
            if isinstance(accept, (int, float))
            else tuple(check_level(level) for level in accept)
        )
        self.on_verifier_error = check_on_verifier_error(on_verifier_error)
        self.needs_win_rate = False

    def first(
        self,
        policy: RoutingPolicy,
        turn: Turn,
        win_rate: Any,
        overrides: Overrides,  # noqa: ARG002
    ) -> Decision:
        """Return the cheapest expert that can take the turn."""
        return policy.planned(turn, self.name, win_rate=win_rate)

    def steps(self, decision: Decision, experts: Sequence[str]) -> Plan:
        """Plan one step for each expert, from the decision's on."""
        names = experts[experts.index(decision.route) :]
        levels = self._levels(len(names) - 1)
        for name, accept in zip(names, levels, strict=False):
            yield Ask(name, self.verifier, accept)
        yield Ask(names[-1])

    def _levels(self, n: int) -> Sequence[float]:
        """Return the levels of n experts; of several, the last ones count."""
        if isinstance(self.accept, float):
            return [self.accept] * n
        if len(self.accept) < n:
            raise ConfigurationError(
                f"`accept` must hold one level for each expert but the last, {n} here, got "
                f"{len(self.accept)}."
            )
        return self.accept[len(self.accept) - n :]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.verifier!r}, accept={self.accept!r})"


def check_verifier(value: Verifier | str) -> Verifier:
    """Return a verifier for a verifier or for the name of one.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    if isinstance(value, str):
        return load_verifier(value)
    if not isinstance(value, Verifier):
        raise ConfigurationError(
            f"`verifier` must be a `Verifier` or the name of one, got {type(value).__name__}. To "
            "use a function, pass `routellm_core.answers.check(function)`."
        )
    return value


def check_on_verifier_error(value: OnVerifierError) -> OnVerifierError:
    """Return what follows a draft that could not be scored.

    Raises
    ------
    ConfigurationError
        If it is neither "accept" nor "next".
    """
    if value not in ("accept", "next"):
        raise ConfigurationError(f"`on_verifier_error` must be 'accept' or 'next', got {value!r}.")
    return value
