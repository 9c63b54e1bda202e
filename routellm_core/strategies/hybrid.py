"""Trust the router where it is sure, and look at the cheap answer where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from routellm_core.errors import ConfigurationError
from routellm_core.strategies.cascade import Cascade

if TYPE_CHECKING:
    from routellm_core.answers.verifier import Verifier
    from routellm_core.plan import OnVerifierError
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["Hybrid"]


class Hybrid(Cascade):
    """Route sure prompts by their win rate, and the others through a cascade.

    A win rate of at least the band's upper end goes to the strong model at once, one below its
    lower end to the weak model without a verifier, and one between through the cascade.

    Parameters
    ----------
    verifier, accept, on_verifier_error
        See `Cascade`.
    band
        The lower and the upper end in [0, 1], in ascending order.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    name: ClassVar[str] = "hybrid"

    def __init__(
        self,
        verifier: Verifier | str,
        *,
        accept: float,
        band: tuple[float, float],
        on_verifier_error: OnVerifierError = "next",
    ) -> None:
        super().__init__(verifier, accept=accept, on_verifier_error=on_verifier_error)
        try:
            low, high = (float(end) for end in band)
        except (TypeError, ValueError):
            low, high = 1.0, 0.0
        if not 0.0 <= low <= high <= 1.0:
            raise ConfigurationError(
                f"`band` must be two ascending numbers in [0, 1], got {band!r}."
            )
        self.band = (low, high)
        self.needs_win_rate = True

    def first(
        self,
        policy: RoutingPolicy,
        turn: Turn,
        win_rate: Any,
        overrides: Overrides,
    ) -> Decision:
        """Return the strong or the weak model, or the cascade's first expert."""
        assert win_rate is not None  # noqa: S101 - the decider sees to it
        low, high = self.band
        if low <= win_rate < high:
            return policy.planned(turn, self.name, win_rate=win_rate)
        return policy.after_scoring(win_rate, overrides, threshold=high, turn=turn)

    def __repr__(self) -> str:
        return f"Hybrid({self.verifier!r}, accept={self.accept!r}, band={self.band!r})"
