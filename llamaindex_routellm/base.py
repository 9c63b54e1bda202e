"""The routed model: one `LLM` in place of several."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.bridge.pydantic import Field, PrivateAttr, SerializeAsAny, field_serializer
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from pydantic import ValidationError

from llamaindex_routellm.arguments import MODEL_FIELDS, PAIR, check_models, checked
from llamaindex_routellm.backing import public_settings
from llamaindex_routellm.chatting import Chatting
from llamaindex_routellm.deciding import Deciding
from llamaindex_routellm.metadata import FunctionCalling, model_name
from llamaindex_routellm.predicting import Predicting
from llamaindex_routellm.runtime import Runtime
from llamaindex_routellm.tooling import Tooling
from routellm_core import (
    DEFAULT_ROUTER_DEADLINE_S,
    BreakerSettings,
    Budget,
    CacheSettings,
    ConfigurationError,
    RetrySettings,
    Route,
    Router,
    RoutingText,
    ShadowSettings,
    check_routing_text,
    validation_faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from routellm_core.experts import Variant
    from routellm_core.strategies import Strategy

__all__ = ["RoutedLLM"]

_CHECKED_FIELDS = frozenset({*MODEL_FIELDS, "answer_tokens", "drop_params"})
_GUARD_FIELDS = frozenset({"experts", "retry", "breaker", "budget", "monitor", "shadow"})


class RoutedLLM(Deciding, Predicting, Tooling, Chatting, FunctionCallingLLM):
    """Send every call to the strong or the weak model, or to one of several experts.

    It is a `FunctionCallingLLM`, and takes the place of one anywhere: in `Settings.llm`, query
    engines, chat engines and agents. The model that is chosen does all the work with its own
    method of the same name, so events, token counts and templates are that model's.

    Parameters
    ----------
    strong, weak
        Any LlamaIndex `LLM`, or the name of a LiteLLM model such as "openai/gpt-4o"; or a `Variant`
        of one. The same model with two settings is a pair, too.
    experts
        Instead of the two: any number of models by name, the cheapest first. Routes, breakers,
        prices and `drop_params` go by these names, and "strong" stands for the last one and "weak"
        for the first where a route of a pair is asked for.
    strategy
        How a call becomes an answer: a `Strategy` of `routellm_core.strategies`, such as a
        `Cascade`. None to ask one model, by a win rate; experts that are no pair need one.
    router
        A router, or the name of one, which is loaded at the first call.
    threshold
        In [0, 1]: a win rate >= `threshold` goes to the strong model.
    strong_share
        In (0, 1]: about this share of typical calls goes to the strong model. Instead of
        `threshold`.
    max_cost
        Instead of either: mean cost of a call in US dollars, at the models' prices in LiteLLM's
        table. The router's calibration has counted tokens, or `call_tokens` says (read, written).
    answer_tokens
        By route, the tokens that an answer is expected to have, those of reasoning included: what
        tells the costs of one model at two efforts apart.
    min_quality
        Instead of them: the share of the strong model's quality to keep, in (0, 1]. Needs a router
        calibrated on outcomes.
    fallback
        Whether the strong model takes over when the weak one fails before it said anything, or
        says nothing at all.
    escalate_filtered
        Whether it takes over where the weak model's answer was filtered, too.
    escalate_on
        Classes of the errors that are worth that; None for those that another model may not have.
    function_calling
        "both": functions are called if all models do that. "any": if one does, which then gets
        every call with tools.
    drop_params
        Keyword arguments of calls that a model does not take, by "strong" and "weak" or by expert:
        they are left out for it.
    routing_text
        "auto", "last_user", "all_user", "conversation", or a function of the messages that returns
        the text to route. With "auto" it is the request in the last user message, without what is
        pasted around it, and of a follow-up such as "continue" what it continues. With "auto" and
        "last_user", a prompt that names its question is routed on that.
    sticky
        Whether the model that called a tool gets the result.
    on_router_error, on_empty_prompt
        The route when the router fails, and when there is no text to route.
    router_deadline_s
        Seconds that a router may take, unless it scores inline; None for as long as it likes.
    remember
        How many win rates are kept, so that the steps of an agent ask the router once.
    cache_aware
        Whether a chat's threshold moves with what the models' prompt caches hold of it, or
        `CacheSettings`. Without known prices of cached tokens nothing moves.
    retry
        Further tries of the same model: how many, or `RetrySettings`, which holds the deadlines,
        too.
    breaker
        True, or `BreakerSettings`: stop asking a model that fails again and again, for a while.
    budget
        US dollars a day, or a `Budget`: over it, calls go to the weak model or are refused.
    monitor
        Gets a `CallRecord` of every call: a `Monitor`, a function, the path of a JSONL log, or a
        list of these.
    shadow
        The share of calls after which another model is asked, too, in the background, or
        `ShadowSettings`. Its answers go to the monitor's log.
    settings
        Fields of any LlamaIndex `LLM`, such as `callback_manager` and `system_prompt`.

    Raises
    ------
    ConfigurationError
        If an argument is unknown, or has a value that cannot be used.

    Notes
    -----
    A response carries its decision in `additional_kwargs["routellm"]`, and the events of the model
    that answers carry it in their instrument tags. One call changes the policy with
    `routellm_route="strong"` or `routellm_threshold=0.9` among its keyword arguments.

    Examples
    --------
    >>> from llama_index.core.llms import MockLLM
    >>> from routellm_core.testing import ScriptedRouter
    >>> llm = RoutedLLM(
    ...     strong=MockLLM(max_tokens=3), weak=MockLLM(max_tokens=1),
    ...     router=ScriptedRouter({"Prove it.": 0.9}), threshold=0.5,
    ... )
    >>> answer = llm.complete("Prove it.")
    >>> answer.text, answer.additional_kwargs["routellm"]["route"]
    ('text text text', 'strong')
    """

    strong: SerializeAsAny[LLM] | None = None
    weak: SerializeAsAny[LLM] | None = None
    experts: dict[str, SerializeAsAny[LLM]] | None = None
    strategy: Any = None
    router: Any = "mf"
    threshold: float | None = None
    strong_share: float | None = None
    max_cost: float | None = None
    min_quality: float | None = None
    call_tokens: tuple[float, float] | None = None
    answer_tokens: dict[str, float] | None = None
    fallback: bool = True
    escalate_filtered: bool = False
    escalate_on: tuple[type[BaseException], ...] | None = None
    function_calling: FunctionCalling = "both"
    drop_params: dict[str, list[str]] = Field(default_factory=dict)
    routing_text: Any = "auto"
    sticky: bool = True
    on_router_error: Route = "strong"
    on_empty_prompt: Route = "strong"
    router_deadline_s: float | None = Field(default=DEFAULT_ROUTER_DEADLINE_S, exclude=True)
    remember: int = Field(default=1024, exclude=True)
    cache_aware: Any = Field(default=True, exclude=True)
    retry: Any = Field(default=None, exclude=True)
    breaker: Any = Field(default=None, exclude=True)
    budget: Any = Field(default=None, exclude=True)
    monitor: Any = Field(default=None, exclude=True)
    shadow: Any = Field(default=None, exclude=True)

    _runtime: Runtime = PrivateAttr(default_factory=Runtime)

    def __init__(
        self,
        *,
        strong: LLM | str | Variant | None = None,
        weak: LLM | str | Variant | None = None,
        experts: Mapping[str, LLM | str | Variant] | None = None,
        strategy: Strategy | None = None,
        router: Router | str = "mf",
        threshold: float | None = None,
        strong_share: float | None = None,
        max_cost: float | None = None,
        min_quality: float | None = None,
        call_tokens: tuple[float, float] | None = None,
        answer_tokens: Mapping[str, float] | None = None,
        fallback: bool = True,
        escalate_filtered: bool = False,
        escalate_on: tuple[type[BaseException], ...] | None = None,
        function_calling: FunctionCalling = "both",
        drop_params: Mapping[str, Collection[str]] | None = None,
        routing_text: RoutingText | Callable[[Sequence[ChatMessage]], str] = "auto",
        sticky: bool = True,
        on_router_error: Route = "strong",
        on_empty_prompt: Route = "strong",
        router_deadline_s: float | None = DEFAULT_ROUTER_DEADLINE_S,
        remember: int = 1024,
        cache_aware: bool | CacheSettings = True,
        retry: RetrySettings | int | None = None,
        breaker: BreakerSettings | bool | None = None,
        budget: Budget | float | None = None,
        monitor: Any = None,
        shadow: ShadowSettings | float | None = None,
        **settings: Any,
    ) -> None:
        unknown = sorted(set(settings) - set(LLM.model_fields))
        if unknown:
            raise ConfigurationError(
                f"`RoutedLLM` takes no argument {unknown[0]!r}. It takes its own, "
                f"{', '.join(_own_fields())}, and those of any `LLM`."
            )
        if function_calling not in ("both", "any"):
            raise ConfigurationError(
                f"`function_calling` must be 'both' or 'any', got {function_calling!r}."
            )
        if not callable(routing_text):
            check_routing_text(routing_text)
        check_models(strong, weak, experts)
        try:
            super().__init__(
                strong=checked("strong", strong, fallback=fallback),
                weak=checked("weak", weak, fallback=fallback),
                experts=checked("experts", experts, fallback=fallback),
                strategy=strategy,
                router=router,
                threshold=threshold,
                strong_share=strong_share,
                max_cost=max_cost,
                min_quality=min_quality,
                call_tokens=call_tokens,
                answer_tokens=checked(
                    "answer_tokens", answer_tokens, routes=tuple(experts or PAIR)
                ),
                fallback=fallback,
                escalate_filtered=escalate_filtered,
                escalate_on=escalate_on,
                function_calling=function_calling,
                drop_params=checked("drop_params", drop_params, routes=tuple(experts or PAIR)),
                routing_text=routing_text,
                sticky=sticky,
                on_router_error=on_router_error,
                on_empty_prompt=on_empty_prompt,
                router_deadline_s=router_deadline_s,
                remember=remember,
                cache_aware=cache_aware,
                retry=retry,
                breaker=breaker,
                budget=budget,
                monitor=monitor,
                shadow=shadow,
                **settings,
            )
        except ValidationError as error:
            raise ConfigurationError(" ".join(validation_faults(error))) from None
        self._check_router()
        self._guards()

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises this class."""
        return "routed_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """What holds for all models: the smallest window, and room for a prompt in each."""
        return self._facts().metadata

    @property
    def models(self) -> Mapping[str, LLM]:
        """The models that are called, by route; read-only. Those given by name are made once."""
        models = self._backings()
        names = models if self.experts is not None else PAIR
        return MappingProxyType({name: models[name] for name in names})

    @field_serializer("strong", "weak")
    def _dump_backing(self, backing: LLM | None) -> dict[str, Any] | None:
        return None if backing is None else public_settings(backing.to_dict())

    @field_serializer("experts")
    def _dump_experts(self, experts: dict[str, LLM] | None) -> dict[str, Any] | None:
        if experts is None:
            return None
        return {name: public_settings(expert.to_dict()) for name, expert in experts.items()}

    @field_serializer("strategy")
    def _dump_strategy(self, strategy: Strategy | None) -> str | None:
        return None if strategy is None else repr(strategy)

    @field_serializer("router")
    def _dump_router(self, router: Router | str) -> str:
        return router if isinstance(router, str) else router.name

    @field_serializer("routing_text")
    def _dump_routing_text(self, routing_text: Any) -> str:
        return routing_text if isinstance(routing_text, str) else _qualified_name(routing_text)

    @field_serializer("escalate_on")
    def _dump_escalate_on(
        self, escalate_on: tuple[type[BaseException], ...] | None
    ) -> list[str] | None:
        return None if escalate_on is None else [_qualified_name(error) for error in escalate_on]

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        names = {name: model_name(model) for name, model in self.models.items()}
        if self.experts is None:
            yield "strong", names["strong"]
            yield "weak", names["weak"]
        else:
            yield "experts", names
        if self.strategy is not None:
            yield "strategy", self.strategy
        yield "router", self._dump_router(self.router)
        for name, value in self._goal().items():
            if value is not None or name in ("threshold", "strong_share"):
                yield name, value

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> RoutedLLM:
        """Return a copy with other settings; a model may be given by its name."""
        changed = dict(update or {})
        fallback = changed.get("fallback", self.fallback)
        check_models(*(changed.get(name, getattr(self, name)) for name in MODEL_FIELDS))
        routes = tuple(changed.get("experts", self.experts) or PAIR)
        for name, value in changed.items():
            changed[name] = checked(name, value, fallback=fallback, routes=routes)
        copied = super().model_copy(update=changed, deep=deep)
        if "experts" in changed:
            copied._runtime.guards = None
        if "experts" in changed or "strategy" in changed:
            copied._check_router()
        return copied

    def __setattr__(self, name: str, value: Any) -> None:
        if name in MODEL_FIELDS:
            check_models(*(value if n == name else getattr(self, n) for n in MODEL_FIELDS))
        if name in _CHECKED_FIELDS:
            routes = tuple(self.experts or PAIR)
            value = checked(name, value, fallback=self.fallback, routes=routes)
        super().__setattr__(name, value)
        if name in _own_fields():
            self._runtime.forget()
        if name in _GUARD_FIELDS:
            self._runtime.guards = None
        if name in ("experts", "strategy"):
            self._check_router()

    def __copy__(self) -> RoutedLLM:
        copied = super().__copy__()
        # A copy may be given other settings.
        copied._runtime = Runtime(guards=self._runtime.guards)
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        for name in _own_fields():
            _check_picklable(name, getattr(self, name))
        return super().__getstate__()


def _own_fields() -> frozenset[str]:
    return _OWN_FIELDS


_OWN_FIELDS = frozenset(RoutedLLM.model_fields) - frozenset(LLM.model_fields)


def _check_picklable(name: str, value: Any) -> None:
    """Refuse what LlamaIndex would leave out of a pickle without a word."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"`{name}` ({type(value).__name__}) cannot be pickled, which other processes need it "
            f"to be: {error}"
        ) from error


def _qualified_name(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
