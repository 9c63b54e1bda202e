"""From a turn and a win rate to a decision."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from routellm_core._numbers import percent_hint
from routellm_core.errors import ConfigurationError
from routellm_core.experts import ExpertTable
from routellm_core.policy.capabilities import missing_capability
from routellm_core.types import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from routellm_core.policy.cache_rule import CacheRule
    from routellm_core.policy.conversation import Turn
    from routellm_core.policy.prefixes import History
    from routellm_core.types import CacheNote

__all__ = ["NO_OVERRIDES", "Overrides", "Route", "RoutingPolicy", "check_threshold"]

Route = Literal["strong", "weak"]
"""The routes of a pair."""

ROUTES = ("strong", "weak")

PAIR = ExpertTable.of_pair(strong_model="strong", weak_model="weak")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one call changes of the policy.

    Parameters
    ----------
    route
        Go there, whatever the router would say: the name of an expert.
    threshold
        In [0, 1], instead of the policy's.
    own_effort
        Whether the call says how much to think, and the experts differ in nothing else: see
        `ExpertTable.own_effort`.
    """

    route: str | None = None
    threshold: float | None = None
    own_effort: bool = False

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        *,
        routes: Sequence[str] = ROUTES,
        own_effort: bool = False,
    ) -> Overrides:
        """Read `routellm_route` and `routellm_threshold` from a call's settings.

        Parameters
        ----------
        settings
            They may hold anything else, too.
        routes
            The names of the experts.
        own_effort
            See `Overrides`.

        Raises
        ------
        ConfigurationError
            If either has a value that cannot be used.
        """
        route = settings.get("routellm_route")
        threshold = settings.get("routellm_threshold")
        if route is None and threshold is None:
            return OWN_EFFORT if own_effort else NO_OVERRIDES
        if route is not None and route not in routes:
            known = " or ".join(map(repr, sorted(routes)))
            raise ConfigurationError(f"`routellm_route` must be {known}, got {route!r}.")
        if threshold is not None:
            threshold = check_threshold(threshold, name="routellm_threshold")
        return cls(route, threshold, own_effort)


NO_OVERRIDES = Overrides()
OWN_EFFORT = Overrides(own_effort=True)


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
    of the models has; the record of this turn's earlier answer; an effort of the call's own, where
    the experts differ in nothing else; an empty text; the router, or a strategy that needs none.

    Parameters
    ----------
    threshold
        In [0, 1]: a win rate >= `threshold` goes to the strong model.
    router
        Name of the router, for the record.
    experts
        The models.
    sticky
        Whether a turn keeps the route of its earlier answer, through tool calls and retries.
    on_router_error, on_empty_prompt
        The route when the router fails, and when there is no text to route. Where the experts are
        no pair, "strong" stands for the last and "weak" for the first that can take the turn.
    better
        Shape (k, 4): what the router's calibration knows of strictly better answers.
    caching
        Moves the threshold within a conversation by what the models have cached of it; None leaves
        it where it is.
    """

    threshold: float
    router: str
    experts: ExpertTable = PAIR
    sticky: bool = True
    on_router_error: Route = "strong"
    on_empty_prompt: Route = "strong"
    better: NDArray[np.float64] | None = field(default=None, compare=False)
    caching: CacheRule | None = None

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        for name in ("on_router_error", "on_empty_prompt"):
            if getattr(self, name) not in ROUTES:
                raise ConfigurationError(
                    f"`{name}` must be 'strong' or 'weak', got {getattr(self, name)!r}."
                )

    @property
    def strong_model(self) -> str:
        """Name of the strong model, or of the last expert's: what savings are measured against."""
        return self.experts.reference.label

    @property
    def weak_model(self) -> str:
        """Name of the weak model, or of the first expert's."""
        return self.experts.cheapest.label

    @property
    def small_window(self) -> int | None:
        """The smallest of the context windows, in tokens, as far as they are known."""
        return self.experts.small_window

    def before_scoring(self, turn: Turn, overrides: Overrides = NO_OVERRIDES) -> Decision | None:
        """Return the decision when no router is needed, or None when `turn.text` must be scored."""
        if overrides.route is not None:
            return self.decision(overrides.route, "override", overrides, turn)
        able, lacking = self.able(turn)
        if len(able) == 1 and lacking is not None:
            return self.decision(able[0], f"capability:{lacking}", overrides, turn)
        if self.sticky and turn.record is not None:
            kept = self._kept(turn.record, turn)
            if kept is not None:
                return replace(kept, reason="own_effort") if overrides.own_effort else kept
        if overrides.own_effort:
            return self.decision(able[0], "own_effort", overrides, turn)
        if not turn.text.strip():
            return self.decision(
                self._named(self.on_empty_prompt, turn), "empty_prompt", overrides, turn
            )
        return None

    def able(self, turn: Turn) -> tuple[Sequence[str], str | None]:
        """Return the experts that can take a turn, and what the first of the others lacks.

        Where none can, all may try; what is lacking is None where none lacks anything.
        """
        lacks = [missing_capability(expert.capabilities, turn) for expert in self.experts]
        lacking = next(filter(None, lacks), None)
        if lacking is None:
            return self.experts.names, None
        able = [n for n, lack in zip(self.experts.names, lacks, strict=True) if lack is None]
        return able or self.experts.names, lacking

    def after_scoring(
        self,
        win_rate: float,
        overrides: Overrides = NO_OVERRIDES,
        *,
        threshold: float | None = None,
        turn: Turn | None = None,
    ) -> Decision:
        """Return the decision for a win rate in [0, 1]; ties go to the stronger model.

        Parameters
        ----------
        win_rate
            The router's.
        overrides
            Its threshold goes before every other, and no cache moves it.
        threshold
            In place of the policy's; no cache moves it.
        turn
            What was asked: where the experts are no pair, only those that can take it count, and
            what is cached of its conversation moves the threshold.
        """
        cache: CacheNote | None = None
        if overrides.threshold is not None:
            threshold = overrides.threshold
        elif threshold is None:
            threshold = self.threshold
            if turn is not None and turn.history is not None:
                threshold, cache = self._moved(threshold, turn.history)
        route = self._named("strong" if win_rate >= threshold else "weak", turn)
        return Decision(
            route=route,
            model=self.experts[route].label,
            win_rate=win_rate,
            threshold=threshold,
            router=self.router,
            reason="win_rate",
            better=None if self.better is None else self._better(win_rate),
            cache=cache,
            **self._among(turn),
        )

    def planned(self, turn: Turn, strategy: str, *, win_rate: float | None = None) -> Decision:
        """Return the first step of a strategy: the cheapest expert that can take the turn.

        Parameters
        ----------
        turn
            What was asked.
        strategy
            The strategy's name, which becomes the reason.
        win_rate
            The router's, where it was asked.
        """
        able, _ = self.able(turn)
        return self.expert(able[0], strategy, order=able, cheapest=able[0], win_rate=win_rate)

    def expert(
        self,
        name: str,
        reason: str,
        *,
        order: Sequence[str],
        cheapest: str,
        qualities: Sequence[float] = (),
        win_rate: float | None = None,
        cache: CacheNote | None = None,
    ) -> Decision:
        """Return the decision for an expert that a strategy chose.

        Parameters
        ----------
        name
            The expert's.
        reason
            For the record.
        order
            The experts that may be asked, in the order in which one follows another.
        cheapest
            The cheapest expert that can take the call, for a budget that is spent.
        qualities
            What the router expects of each expert of `order`.
        win_rate
            The router's, where it was asked.
        cache
            How prompt caches moved the choice.
        """
        return Decision(
            route=name,
            model=self.experts[name].label,
            win_rate=win_rate,
            threshold=None,
            router=self.router,
            reason=reason,
            order=tuple(order),
            qualities=tuple(qualities),
            cheapest=cheapest,
            cache=cache,
        )

    def after_router_error(
        self,
        error: BaseException,
        overrides: Overrides = NO_OVERRIDES,
        turn: Turn | None = None,
    ) -> Decision:
        """Return the decision when the router raised, or returned something that is no win rate."""
        route = self._named(self.on_router_error, turn)
        return self.decision(route, f"router_error:{type(error).__name__}", overrides, turn)

    def decision(
        self,
        route: str,
        reason: str,
        overrides: Overrides = NO_OVERRIDES,
        turn: Turn | None = None,
    ) -> Decision:
        """Return a decision that no score led to.

        Parameters
        ----------
        route
            The name of an expert.
        reason
            For the record.
        overrides
            What the call changes.
        turn
            What was asked, where the experts are no pair: only those that can take it follow.
        """
        return Decision(
            route=route,
            model=self.experts[route].label,
            win_rate=None,
            threshold=self.threshold if overrides.threshold is None else overrides.threshold,
            router=self.router,
            reason=reason,
            **self._among(turn),
        )

    def _better(self, win_rate: float) -> tuple[float, float, float]:
        import numpy as np

        table = self.better
        assert table is not None  # noqa: S101 - for the type checker
        value, low, high = (float(np.interp(win_rate, table[:, 0], table[:, c])) for c in (1, 2, 3))
        return value, low, high

    def _moved(self, threshold: float, history: History) -> tuple[float, CacheNote | None]:
        """Return the threshold in a conversation; only a pair has one to move."""
        if self.caching is None or not self.experts.is_pair:
            return threshold, None
        return self.caching.moved(threshold, history)

    def _named(self, route: Route, turn: Turn | None) -> str:
        """Return the expert that a route of the pair stands for."""
        if self.experts.is_pair:
            return route
        able = self.experts.names if turn is None else self.able(turn)[0]
        return able[-1] if route == "strong" else able[0]

    def _among(self, turn: Turn | None) -> dict[str, Any]:
        """Return a decision's `order` and `cheapest`: of those that can take a turn, if no pair."""
        if self.experts.is_pair or turn is None:
            return {}
        able = tuple(self.able(turn)[0])
        return {"order": able, "cheapest": able[0]}

    def _kept(self, record: Mapping[str, Any], turn: Turn) -> Decision | None:
        """Return the earlier decision of this turn, or None when its record is not believable."""
        route = record.get("route")
        if not isinstance(route, str) or route not in self.experts:
            return None
        return Decision(
            route=route,
            model=self.experts[route].label,
            win_rate=_unit_interval(record.get("win_rate")),
            threshold=_unit_interval(record.get("threshold")),
            router=self.router,
            reason="sticky",
            **self._among(turn),
        )


def _unit_interval(value: Any) -> float | None:
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        return value
    return None
