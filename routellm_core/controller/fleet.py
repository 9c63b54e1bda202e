"""Several routers over the same models: which of them decides a request, and how."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from routellm_core.calibration import router_threshold
from routellm_core.controller.messages import OpenAIView
from routellm_core.controller.names import (
    AUTO,
    RoutedName,
    read_model_name,
    without_additions,
)
from routellm_core.controller.turns import TurnMemory
from routellm_core.errors import ConfigurationError, UnknownModelError, UnknownRouterError
from routellm_core.experts import Capabilities, Expert, ExpertTable, Variant, model_and_settings
from routellm_core.policy import (
    HistoryReader,
    Overrides,
    PastAnswer,
    PrefixMemory,
    check_routing_text,
    check_threshold,
    known_capabilities,
    make_decider,
    read_turn,
)
from routellm_core.policy.routing import NO_OVERRIDES
from routellm_core.strategies import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.controller.messages import Message
    from routellm_core.policy import Decider, RoutingText, Turn
    from routellm_core.routers.base import Router
    from routellm_core.types import Usage

__all__ = ["Fleet", "check_different", "expert_table"]

_VIEW = OpenAIView()


class Fleet:
    """Hold a decider for every loaded router, all for the same models.

    Parameters
    ----------
    routers
        At least one, by the name that requests use. The first answers to "auto".
    strong_model, weak_model
        Names of a pair of models, or a `Variant` of one.
    experts
        Any number of models, in place of the pair; see `expert_table`.
    strong, weak
        What the models can take; by default what `known_capabilities` knows of their names.
    strategy
        How a call becomes an answer, unless its model's name says more; None for the router's
        win rate against the threshold. Experts other than "weak" and "strong" need one.
    threshold, strong_share
        What "auto" and calls without a threshold use, at most one of them; see `make_decider`.
    routing_text
        Which text of a conversation is routed; see `RoutingText`.
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
        strong_model: str | Variant | None = None,
        weak_model: str | Variant | None = None,
        experts: ExpertTable | None = None,
        strong: Capabilities | None = None,
        weak: Capabilities | None = None,
        threshold: float | None = None,
        strong_share: float | None = None,
        strategy: Strategy | None = None,
        routing_text: RoutingText = "auto",
        **options: Any,
    ) -> None:
        if not routers:
            raise ConfigurationError("At least one router is needed, got none.")
        self.experts = _table(
            experts, strong_model=strong_model, weak_model=weak_model, strong=strong, weak=weak
        )
        if not isinstance(strategy, (Strategy, type(None))):
            raise ConfigurationError(
                f"`strategy` must be a `Strategy`, got {type(strategy).__name__}. Make one with "
                "`routellm_core.strategies`."
            )
        if strategy is None and not self.experts.is_pair:
            raise ConfigurationError(
                f"The experts {', '.join(self.experts.names)} need a `strategy`, as "
                "`routellm_core.strategies.Cascade`: a router alone tells 'weak' and 'strong' "
                "apart."
            )
        self.strategy = strategy
        self._routing_text = check_routing_text(routing_text)
        self._answered = TurnMemory()
        self._undecided = (AUTO,) if strategy is None else (AUTO, strategy.name)
        named = () if self.experts.is_pair else self.experts.names[::-1]
        models = [name for e in [*self.experts][::-1] for name in (e.label, e.model)]
        self._names = list(dict.fromkeys([*self._undecided, *named, *models]))
        self.deciders: dict[str, Decider] = {
            name: make_decider(
                router=router,
                threshold=threshold,
                strong_share=strong_share,
                experts=self.experts,
                strategy=strategy,
                **options,
            )
            for name, router in routers.items()
        }
        self.default = next(iter(self.deciders))
        self._prefixes = PrefixMemory()
        self._histories = {
            decider: HistoryReader(caching, self._prefixes.answer)
            for decider in self.deciders.values()
            if (caching := decider.policy.caching) is not None and caching.cached_experts
        }

    @property
    def strong_model(self) -> str:
        """Name of the strong model, or of the last expert's, with what tells it from another."""
        return self.experts.reference.label

    @property
    def weak_model(self) -> str:
        """Name of the weak model, or of the first expert's, with what tells it from another."""
        return self.experts.cheapest.label

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
            If the name is neither a routed one nor one of a model.
        UnknownRouterError
            If it names a router that is not loaded.
        ConfigurationError
            If its threshold or share cannot be used.
        """
        model = self._bare(model)
        wish = self._wish_of(model)
        if wish is not None:
            return self.wish(wish.router, threshold=wish.threshold, strong_share=wish.strong_share)
        if model in self._undecided:
            return self.decider(None), NO_OVERRIDES
        route = self.route_of(model)
        if route is not None:
            return self.decider(None), Overrides(route=route)
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
        """Return model names that `plan` takes as they are, "auto" first and the cheapest last."""
        return list(self._names)

    def is_routed(self, model: str) -> bool:
        """Return whether a name is more than that of a model."""
        name = self._bare(model)
        if name in self._undecided or self._wish_of(name) is not None:
            return True
        return not self.experts.is_pair and name in self.experts

    def route_of(self, model: str) -> str | None:
        """Return the expert of a name, or of a model's name; None if there is none.

        Of several, the last one in the table counts. The names "strong" and "weak" count for
        nothing here.
        """
        if model in self.experts and not self.experts.is_pair:
            return model
        return next(
            (e.name for e in reversed([*self.experts]) if model in (e.label, e.model)), None
        )

    def _wish_of(self, model: str) -> RoutedName | None:
        # A model may have a name that looks like a router's.
        return None if model in self._names else read_model_name(model, routers=self.deciders)

    def _bare(self, model: str) -> str:
        return without_additions(model, served=self._names)

    def turn(
        self,
        messages: Sequence[Message],
        *,
        tools: bool,
        decider: Decider,
        overrides: Overrides = NO_OVERRIDES,
    ) -> Turn:
        """Summarise OpenAI's messages for a decider.

        The steps of a tool loop stay with the expert to which a strategy led; see `note_answer`.
        What the models have cached of the conversation is known from `prompt_noter`.
        """
        turn = read_turn(
            list(messages),
            _VIEW,
            routing_text=self._routing_text,
            tools=tools,
            small_window=decider.policy.small_window,
            history=None if overrides.threshold is not None else self._histories.get(decider),
        )
        if self.strategy is None or overrides != NO_OVERRIDES:
            return turn
        expert = self._answered.expert_of(messages)
        return turn if expert is None else replace(turn, record={"route": expert})

    def note_answer(self, messages: Sequence[Message], expert: str) -> None:
        """Note the expert whose answer a strategy gave out."""
        self._answered.note(messages, expert)

    def prompt_noter(
        self, decider: Decider, messages: Sequence[Message]
    ) -> Callable[[str, str, Usage | None], None] | None:
        """Return what notes who answered a request, and what was used; None where nobody asks.

        Messages of clients carry no record, so what a model's provider has cached of them is kept
        in this process.
        """
        history = self._histories.get(decider)
        if history is None:
            return None
        asked, rule = list(messages), history.rule

        def note(expert: str, model: str, usage: Usage | None) -> None:
            if expert in rule.cached_experts:
                texts = [_VIEW.text(message) for message in asked]
                self._prefixes.note(texts, PastAnswer(expert, model, rule.clock(), usage))

        return note


def expert_table(
    models: Mapping[str, str | Variant],
    *,
    capabilities: Mapping[str, Capabilities | None] | None = None,
) -> ExpertTable:
    """Return the table of experts.

    Parameters
    ----------
    models
        Each expert's model, as LiteLLM names it, or a `Variant` of one, by the expert's name; the
        cheapest first.
    capabilities
        What some of them can take; of the others, what `known_capabilities` knows.

    Raises
    ------
    ConfigurationError
        If there is no expert, or a name cannot be used.

    Examples
    --------
    >>> expert_table({"fast": "gpt-4o-mini", "coder": "gpt-4o"}).names
    ('fast', 'coder')
    """
    known = capabilities or {}
    experts = []
    for name, given in models.items():
        model, settings = model_and_settings(given)
        if not isinstance(model, str):
            raise ConfigurationError(
                f"The model of expert {name!r} must be a name, got {type(model).__name__}."
            )
        experts.append(Expert(name, model, known.get(name) or known_capabilities(model), settings))
    return ExpertTable(experts)


def check_different(experts: ExpertTable, asked: Mapping[str, Any]) -> None:
    """Refuse experts between which there is nothing to route.

    Parameters
    ----------
    experts
        All of them.
    asked
        By expert, what else its requests depend on: where they go, and what they leave out.

    Raises
    ------
    ConfigurationError
        If two are one model, asked in the same way.
    """
    for one, other in combinations(experts, 2):
        alike = one.model == other.model and one.settings == other.settings
        if alike and asked[one.name] == asked[other.name]:
            raise ConfigurationError(
                f"{one.name!r} and {other.name!r} are the same model, {one.model!r}, with the same "
                "settings: there is nothing to route between. Name different models, or give one "
                "of them other `settings`, as `reasoning_effort`: see `Variant`."
            )


def _table(
    experts: ExpertTable | None,
    *,
    strong_model: str | Variant | None,
    weak_model: str | Variant | None,
    strong: Capabilities | None,
    weak: Capabilities | None,
) -> ExpertTable:
    """Return the table that a fleet's arguments mean."""
    if experts is not None:
        if any(given is not None for given in (strong_model, weak_model, strong, weak)):
            raise ConfigurationError("Pass `experts`, or `strong_model` and `weak_model`.")
        return experts
    if strong_model is None or weak_model is None:
        raise ConfigurationError(
            f"Pass both `strong_model` and `weak_model`, or `experts`; got {strong_model!r} and "
            f"{weak_model!r}."
        )
    return expert_table(
        {"weak": weak_model, "strong": strong_model},
        capabilities={"weak": weak, "strong": strong},
    )
