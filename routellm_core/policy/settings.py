"""From what a user writes to a decider: the arguments that every adapter takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.calibration import router_threshold
from routellm_core.errors import ConfigurationError
from routellm_core.policy.capabilities import Capabilities
from routellm_core.policy.decider import Decider
from routellm_core.policy.routing import RoutingPolicy, check_threshold
from routellm_core.routers.base import Router
from routellm_core.routers.registry import load_router

if TYPE_CHECKING:
    from routellm_core.policy.routing import Route

__all__ = ["DEFAULT_STRONG_SHARE", "make_decider", "resolve_router", "resolve_threshold"]

DEFAULT_STRONG_SHARE = 0.5
"""What a calibrated router is set to when neither a threshold nor a share is given."""


def resolve_router(router: Any) -> Router:
    """Return a router for a router or for a registered name.

    Raises
    ------
    UnknownRouterError
        If nobody registered the name.
    ConfigurationError
        If the value is neither a router nor a name.
    """
    if isinstance(router, str):
        return load_router(router)
    if not isinstance(router, Router):
        raise ConfigurationError(
            f"`router` must be a `Router` or a registered name, got {type(router).__name__}. "
            "To use your own scorer, subclass `routellm_core.Router`."
        )
    return router


def resolve_threshold(
    router: Router, *, threshold: float | None, strong_share: float | None
) -> float:
    """Return the threshold that the arguments mean for this router.

    With neither argument a calibrated router sends half of typical calls to the strong model, and
    any other uses 0.5: strong where its answer is more likely the better one.

    Raises
    ------
    ConfigurationError
        If both are given, or one has a wrong value, or a share meets an uncalibrated router.
    """
    if threshold is not None and strong_share is not None:
        raise ConfigurationError(
            f"Pass `threshold` ({threshold!r}) or `strong_share` ({strong_share!r}), not both."
        )
    if threshold is not None:
        return check_threshold(threshold)
    if strong_share is None:
        if router.calibration is None:
            return 0.5
        strong_share = DEFAULT_STRONG_SHARE
    return router_threshold(router, strong_share=strong_share)


def make_decider(
    *,
    router: Router,
    threshold: float | None = None,
    strong_share: float | None = None,
    strong_model: str,
    weak_model: str,
    strong: Capabilities | None = None,
    weak: Capabilities | None = None,
    sticky: bool = True,
    on_router_error: Route = "strong",
    on_empty_prompt: Route = "strong",
    remember: int = 0,
) -> Decider:
    """Return the decider for an adapter's arguments; see `RoutingPolicy` and `Decider` for each.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """
    policy = RoutingPolicy(
        threshold=resolve_threshold(router, threshold=threshold, strong_share=strong_share),
        router=router.name,
        strong_model=strong_model,
        weak_model=weak_model,
        strong=strong or Capabilities(),
        weak=weak or Capabilities(),
        sticky=sticky,
        on_router_error=on_router_error,
        on_empty_prompt=on_empty_prompt,
    )
    return Decider(router, policy, remember=remember)
