"""Several routers over one pair of models: which of them decides a request, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.calibration import router_threshold
from routellm_core.controller.messages import OpenAIView
from routellm_core.controller.names import AUTO, read_model_name, without_additions
from routellm_core.errors import ConfigurationError, UnknownModelError, UnknownRouterError
from routellm_core.experts import Capabilities
from routellm_core.policy import (
    Overrides,
    check_threshold,
    known_capabilities,
    make_decider,
    read_turn,
)
from routellm_core.policy.routing import NO_OVERRIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routellm_core.controller.messages import Message
    from routellm_core.policy import Decider, Turn
    from routellm_core.routers.base import Router

__all__ = ["Fleet"]

_VIEW = OpenAIView()


class Fleet:
    """Hold a decider for every loaded router, all for the same pair of models.

    Parameters
    ----------
    routers
        At least one, by the name that requests use. The first answers to "auto".
    strong_model, weak_model
        Names of the models.
    strong, weak
        What the models can take; by default what `known_capabilities` knows of their names.
    threshold, strong_share
        What "auto" and calls without a threshold use, at most one of them; see `make_decider`.
    options
        Further arguments of `make_decider`, the same for every router.

    Raises
    ------
    ConfigurationError
        If there is no router, or an argument has a value that cannot be used.
    """

    def __init__(
        self,
        routers: Mapping[str, Router],
        *,
        strong_model: str,
        weak_model: str,
        strong: Capabilities | None = None,
        weak: Capabilities | None = None,
        threshold: float | None = None,
        strong_share: float | None = None,
        **options: Any,
    ) -> None:
        if not routers:
            raise ConfigurationError("At least one router is needed, got none.")
        strong = known_capabilities(strong_model) if strong is None else strong
        weak = known_capabilities(weak_model) if weak is None else weak
        self.strong_model = strong_model
        self.weak_model = weak_model
        self.deciders: dict[str, Decider] = {
            name: make_decider(
                router=router,
                threshold=threshold,
                strong_share=strong_share,
                strong_model=strong_model,
                weak_model=weak_model,
                strong=strong,
                weak=weak,
                **options,
            )
            for name, router in routers.items()
        }
        self.default = next(iter(self.deciders))

    def decider(self, router: str | None) -> Decider:
        """Return a loaded router's decider; None stands for the first.

        Raises
        ------
        UnknownRouterError
            If no such router is loaded.
        """
        found = self.deciders.get(self.default if router is None else router)
        if found is None:
            raise UnknownRouterError(
                f"Router {router!r} is not loaded. Loaded routers: {', '.join(self.deciders)}."
            )
        return found

    def plan(self, model: str) -> tuple[Decider, Overrides]:
        """Return who decides a request for this model name, and what the name settles already.

        Raises
        ------
        UnknownModelError
            If the name is neither a routed one, "auto", nor one of the two models.
        UnknownRouterError
            If it names a router that is not loaded.
        ConfigurationError
            If its threshold or share cannot be used.
        """
        model = without_additions(model, served=(self.strong_model, self.weak_model))
        wish = read_model_name(model, routers=self.deciders)
        if wish is not None:
            return self.wish(wish.router, threshold=wish.threshold, strong_share=wish.strong_share)
        if model == AUTO:
            return self.decider(None), NO_OVERRIDES
        if model == self.strong_model:
            return self.decider(None), Overrides(route="strong")
        if model == self.weak_model:
            return self.decider(None), Overrides(route="weak")
        raise UnknownModelError(
            f"Model {model!r} is not served. Served: {', '.join(self.names())}, and "
            "'router-NAME-THRESHOLD' or 'router-NAME-share-PERCENT' with a router of "
            f"{', '.join(self.deciders)}."
        )

    def wish(
        self, router: str | None, *, threshold: float | None, strong_share: float | None = None
    ) -> tuple[Decider, Overrides]:
        """Return a router's decider and the override that a threshold or a share means."""
        decider = self.decider(router)
        if strong_share is not None:
            threshold = router_threshold(decider.router, strong_share=strong_share)
        if threshold is None:
            return decider, NO_OVERRIDES
        return decider, Overrides(threshold=check_threshold(threshold))

    def names(self) -> list[str]:
        """Return model names that `plan` takes as they are: "auto" and the models."""
        return list(dict.fromkeys([AUTO, self.strong_model, self.weak_model]))

    @staticmethod
    def turn(messages: Iterable[Message], *, tools: bool, decider: Decider) -> Turn:
        """Summarise OpenAI's messages for a decider."""
        return read_turn(
            list(messages), _VIEW, tools=tools, small_window=decider.policy.small_window
        )
