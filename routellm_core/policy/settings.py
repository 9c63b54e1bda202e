"""From what a user writes to a decider: the arguments that every adapter takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.calibration import (
    check_max_cost,
    check_min_quality,
    check_share,
    cost_threshold,
    quality_threshold,
    router_threshold,
)
from routellm_core.errors import ConfigurationError
from routellm_core.experts import Capabilities, ExpertTable
from routellm_core.policy.cache_rule import CacheRule, cache_settings
from routellm_core.policy.decider import Decider
from routellm_core.policy.routing import RoutingPolicy, check_threshold
from routellm_core.policy.threshold_notes import note_threshold
from routellm_core.routers.base import Router
from routellm_core.routers.loading import load_router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.policy.cache_rule import CacheAware
    from routellm_core.policy.decider import FirstStep
    from routellm_core.policy.routing import Route

__all__ = [
    "DEFAULT_ROUTER_DEADLINE_S",
    "DEFAULT_STRONG_SHARE",
    "Target",
    "make_decider",
    "resolve_router",
    "resolve_threshold",
]

DEFAULT_STRONG_SHARE = 0.5
"""What a calibrated router is set to when neither a threshold nor a share is given."""

DEFAULT_ROUTER_DEADLINE_S = 0.25
"""Seconds that a router may take. One that asks a service for embeddings needs more."""


def resolve_router(router: Any) -> Router:
    """Return a router for a router or for the name of one, as `load_router` takes it.

    Raises
    ------
    UnknownRouterError
        If nobody registered the name, and it is no checkpoint.
    CheckpointError
        If the checkpoint that it names cannot be used.
    ConfigurationError
        If the value is neither a router nor a name.
    """
    if isinstance(router, (str, Path)):
        return load_router(str(router))
    if not isinstance(router, Router):
        raise ConfigurationError(
            "`router` must be a `Router`, a registered name or a checkpoint, got "
            f"{type(router).__name__}. To use your own scorer, subclass `routellm_core.Router`."
        )
    return router


@dataclass(frozen=True, slots=True)
class Target:
    """What a user asks of routing: at most one of the first four.

    Parameters
    ----------
    threshold
        In [0, 1]: the win rate from which calls go to the strong model.
    strong_share
        In (0, 1]: the share of calls that goes there.
    max_cost
        Mean cost of a call, in US dollars.
    min_quality
        In (0, 1]: the share of the strong model's quality to keep.
    call_tokens
        For `max_cost`: mean tokens read and written by a call, when the router's calibration has
        not counted them, or counted other calls.
    answer_tokens
        By expert, the tokens that its answer is expected to have, those of reasoning included.
        They count before those of `call_tokens` and of the calibration.

    Raises
    ------
    ConfigurationError
        If two are given, or one has a value that no router could use.
    """

    threshold: float | None = None
    strong_share: float | None = None
    max_cost: float | None = None
    min_quality: float | None = None
    call_tokens: tuple[float, float] | None = None
    answer_tokens: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        named = {
            name: getattr(self, name)
            for name in ("threshold", "strong_share", "max_cost", "min_quality")
            if getattr(self, name) is not None
        }
        if len(named) > 1:
            stated = " or ".join(f"`{name}` ({value!r})" for name, value in named.items())
            only = "not both" if len(named) == 2 else "only one of them"
            raise ConfigurationError(f"Pass {stated}, {only}.")
        if self.threshold is not None:
            check_threshold(self.threshold)
        if self.strong_share is not None:
            check_share(self.strong_share)
        if self.min_quality is not None:
            check_min_quality(self.min_quality)
        if self.max_cost is not None:
            check_max_cost(self.max_cost)
        if self.call_tokens is not None and self.max_cost is None:
            raise ConfigurationError("`call_tokens` is read with `max_cost` only.")


def resolve_threshold(
    router: Router,
    *,
    threshold: float | None = None,
    strong_share: float | None = None,
    max_cost: float | None = None,
    min_quality: float | None = None,
    call_tokens: tuple[float, float] | None = None,
    answer_tokens: tuple[float, float] | None = None,
    strong_model: str = "",
    weak_model: str = "",
) -> float:
    """Return the threshold that the arguments mean for this router.

    With no target a calibrated router sends half of typical calls to the strong model, and any
    other uses 0.5: strong where its answer is more likely the better one.

    Parameters
    ----------
    router
        Its calibration answers everything but a threshold.
    threshold, strong_share, max_cost, min_quality, call_tokens
        See `Target`.
    answer_tokens
        For `max_cost`: mean tokens that the strong and the weak model write, where they are known
        to be others than `call_tokens` or the calibration say.
    strong_model, weak_model
        Names in LiteLLM's price table, for `max_cost`.

    Raises
    ------
    ConfigurationError
        If two targets are given, or one has a wrong value, or the calibration cannot answer it, or
        a model has no known price.
    """
    target = Target(threshold, strong_share, max_cost, min_quality, call_tokens)
    if target.threshold is not None:
        return check_threshold(target.threshold)
    if target.min_quality is not None:
        return quality_threshold(router, min_quality=target.min_quality)
    if target.max_cost is not None:
        return cost_threshold(
            router,
            max_cost=target.max_cost,
            strong_usd=_token_prices(strong_model),
            weak_usd=_token_prices(weak_model),
            call_tokens=target.call_tokens,
            answer_tokens=answer_tokens,
        )
    if strong_share is None:
        if router.calibration is None:
            return 0.5
        strong_share = DEFAULT_STRONG_SHARE
    return router_threshold(router, strong_share=strong_share)


def _token_prices(model: str) -> tuple[float, float]:
    from routellm_core.monitoring.prices import price_of

    price = price_of(model)
    if price is None:
        raise ConfigurationError(
            f"`max_cost` needs the price of {model!r}, and LiteLLM's price table does not know it. "
            "Name the model as LiteLLM does, or pass `strong_share` instead."
        )
    return price.input_usd, price.output_usd


def make_decider(
    *,
    router: Router,
    threshold: float | None = None,
    strong_share: float | None = None,
    max_cost: float | None = None,
    min_quality: float | None = None,
    call_tokens: tuple[float, float] | None = None,
    answer_tokens: Mapping[str, float] | None = None,
    strong_model: str = "",
    weak_model: str = "",
    strong: Capabilities | None = None,
    weak: Capabilities | None = None,
    experts: ExpertTable | None = None,
    strategy: FirstStep | None = None,
    sticky: bool = True,
    on_router_error: Route = "strong",
    on_empty_prompt: Route = "strong",
    remember: int = 0,
    router_deadline_s: float | None = DEFAULT_ROUTER_DEADLINE_S,
    cache_aware: CacheAware = True,
) -> Decider:
    """Return the decider for an adapter's arguments; see `RoutingPolicy` and `Decider` for each.

    The models are a pair (`strong_model`, `weak_model`, `strong`, `weak`), or `experts`.
    `cache_aware` is read for turns that have a history, see `HistoryReader`.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """
    if threshold is not None:
        note_threshold(router, check_threshold(threshold))
    if experts is None:
        experts = ExpertTable.of_pair(
            strong_model=strong_model, weak_model=weak_model, strong=strong, weak=weak
        )
    experts = _with_lengths(experts, answer_tokens, router)
    strong_length, weak_length = experts.reference.answer_tokens, experts.cheapest.answer_tokens
    caching = cache_settings(cache_aware)
    policy = RoutingPolicy(
        threshold=resolve_threshold(
            router,
            threshold=threshold,
            strong_share=strong_share,
            max_cost=max_cost,
            min_quality=min_quality,
            call_tokens=call_tokens,
            answer_tokens=None
            if strong_length is None or weak_length is None
            else (strong_length, weak_length),
            strong_model=experts.reference.model,
            weak_model=experts.cheapest.model,
        ),
        router=router.name,
        experts=experts,
        sticky=sticky,
        on_router_error=on_router_error,
        on_empty_prompt=on_empty_prompt,
        better=None if router.calibration is None else router.calibration.better,
        caching=None if caching is None else CacheRule(caching, experts, router),
    )
    return Decider(
        router, policy, remember=remember, deadline_s=router_deadline_s, strategy=strategy
    )


def _with_lengths(
    experts: ExpertTable, answer_tokens: Mapping[str, float] | None, router: Router
) -> ExpertTable:
    """Return the experts with the expected tokens of their answers.

    A pair that is one model with two settings costs what it writes, and lists one price. What the
    router's calibration has counted for the pair holds, unless the caller knows better.
    """
    if answer_tokens:
        experts = experts.with_answer_tokens(answer_tokens)
    counted = None if router.calibration is None else router.calibration.tokens
    if counted is None or not (experts.is_pair and experts.differs_by_effort):
        return experts
    strong, weak = (float(mean) for mean in counted[:, 1:].mean(axis=0))
    known = {e.name: e.answer_tokens for e in experts if e.answer_tokens is not None}
    # Counts that are equal were filled in for both: they tell nothing of the two.
    return (
        experts
        if strong == weak
        else experts.with_answer_tokens({"strong": strong, "weak": weak, **known})
    )
