"""From a turn and a win rate to a decision."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from routellm_core._numbers import percent_hint
from routellm_core.errors import ConfigurationError
from routellm_core.policy.capabilities import Capabilities, missing_capability
from routellm_core.types import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.policy.conversation import Turn

__all__ = ["NO_OVERRIDES", "Overrides", "Route", "RoutingPolicy", "check_threshold"]

Route = Literal["strong", "weak"]
"""The routes of a pair."""

ROUTES = ("strong", "weak")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one call changes of the policy.

    Parameters
    ----------
    route
        Go there, whatever the router would say.
    threshold
        In [0, 1], instead of the policy's.
    """

    route: Route | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Overrides:
        """Read `routellm_route` and `routellm_threshold` from a call's settings.

        Raises
        ------
        ConfigurationError
            If either has a value that cannot be used.
        """
        route = settings.get("routellm_route")
        threshold = settings.get("routellm_threshold")
        if route is None and threshold is None:
            return NO_OVERRIDES
        if route is not None and route not in ROUTES:
            raise ConfigurationError(f"`routellm_route` must be 'strong' or 'weak', got {route!r}.")
        if threshold is not None:
            threshold = check_threshold(threshold, name="routellm_threshold")
        return cls(route=route, threshold=threshold)


NO_OVERRIDES = Overrides()


def check_threshold(value: Any, *, name: str = "threshold") -> float:
    """Return the threshold as a float.

    Raises
    ------
    ConfigurationError
        If it is not a number in [0, 1].
    """
    try:
        number = float(value) if not isinstance(value, (bool, str)) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise ConfigurationError(
            f"`{name}` must be a number in [0, 1], got {value!r}.{percent_hint(value)}"
        )
    return number


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """Decide where a turn goes.

    The first of these that applies decides: the call's own override; a capability that only one
    of the models has; the record of this turn's earlier answer; an empty text; the router.

    Parameters
    ----------
    threshold
        In [0, 1]: a win rate >= `threshold` goes to the strong model.
    router
        Name of the router, for the record.
    strong_model, weak_model
        Names of the models, for the record.
    strong, weak
        What the models can take.
    sticky
        Whether a turn keeps the route of its earlier answer, through tool calls and retries.
    on_router_error, on_empty_prompt
        The route when the router fails, and when there is no text to route.
    """

    threshold: float
    router: str
    strong_model: str = "strong"
    weak_model: str = "weak"
    strong: Capabilities = field(default_factory=Capabilities)
    weak: Capabilities = field(default_factory=Capabilities)
    sticky: bool = True
    on_router_error: Route = "strong"
    on_empty_prompt: Route = "strong"

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        for name in ("on_router_error", "on_empty_prompt"):
            if getattr(self, name) not in ROUTES:
                raise ConfigurationError(
                    f"`{name}` must be 'strong' or 'weak', got {getattr(self, name)!r}."
                )

    @property
    def small_window(self) -> int | None:
        """The smaller of the two context windows, in tokens, as far as they are known."""
        windows = [self.strong.context_window, self.weak.context_window]
        return min((window for window in windows if window is not None), default=None)

    def before_scoring(self, turn: Turn, overrides: Overrides = NO_OVERRIDES) -> Decision | None:
        """Return the decision when no router is needed, or None when `turn.text` must be scored."""
        if overrides.route is not None:
            return self._decision(overrides.route, "override", overrides)
        strong_lacks = missing_capability(self.strong, turn)
        weak_lacks = missing_capability(self.weak, turn)
        if (strong_lacks is None) != (weak_lacks is None):
            route: Route = "strong" if strong_lacks is None else "weak"
            return self._decision(route, f"capability:{strong_lacks or weak_lacks}", overrides)
        if self.sticky and turn.record is not None:
            kept = self._kept(turn.record)
            if kept is not None:
                return kept
        if not turn.text.strip():
            return self._decision(self.on_empty_prompt, "empty_prompt", overrides)
        return None

    def after_scoring(self, win_rate: float, overrides: Overrides = NO_OVERRIDES) -> Decision:
        """Return the decision for a win rate in [0, 1]; ties go to the strong model."""
        threshold = self.threshold if overrides.threshold is None else overrides.threshold
        strong = win_rate >= threshold
        return Decision(
            route="strong" if strong else "weak",
            model=self.strong_model if strong else self.weak_model,
            win_rate=win_rate,
            threshold=threshold,
            router=self.router,
            reason="win_rate",
        )

    def after_router_error(
        self, error: BaseException, overrides: Overrides = NO_OVERRIDES
    ) -> Decision:
        """Return the decision when the router raised, or returned something that is no win rate."""
        return self._decision(
            self.on_router_error, f"router_error:{type(error).__name__}", overrides
        )

    def _decision(self, route: Route, reason: str, overrides: Overrides) -> Decision:
        return Decision(
            route=route,
            model=self.strong_model if route == "strong" else self.weak_model,
            win_rate=None,
            threshold=self.threshold if overrides.threshold is None else overrides.threshold,
            router=self.router,
            reason=reason,
        )

    def _kept(self, record: Mapping[str, Any]) -> Decision | None:
        """Return the earlier decision of this turn, or None when its record is not believable."""
        route = record.get("route")
        if route not in ROUTES:
            return None
        return Decision(
            route=str(route),
            model=self.strong_model if route == "strong" else self.weak_model,
            win_rate=_unit_interval(record.get("win_rate")),
            threshold=_unit_interval(record.get("threshold")),
            router=self.router,
            reason="sticky",
        )


def _unit_interval(value: Any) -> float | None:
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        return value
    return None
