"""The routed chat model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import ConfigDict, Field, SecretStr, SkipValidation, ValidationError

from langchain_routellm.backing import joint_profile
from langchain_routellm.batching import BatchDispatching
from langchain_routellm.checks import check_escalate_on, check_strategy
from langchain_routellm.direct import DirectCalls
from langchain_routellm.events import EventDispatching
from langchain_routellm.models import BackingModels, identity_of, models_given
from langchain_routellm.prepared import GUARD_FIELDS, PreparedModel, in_event_loop
from langchain_routellm.routing import Routing, TextReader
from langchain_routellm.structured import RoutedRunnable, structured_chains
from langchain_routellm.tools import BoundTools, Tool
from langchain_routellm.variants import check_different
from langchain_routellm.watching import shows_tokens
from routellm_core import (
    DEFAULT_ROUTER_DEADLINE_S,
    BreakerSettings,
    Budget,
    ConfigurationError,
    Guards,
    RetrySettings,
    Route,
    Router,
    RoutingText,
    ShadowSettings,
    Target,
    check_drop_params,
    check_router,
    check_routing_text,
    escalation_filter,
    load_router,
    make_decider,
    make_guards,
    resolve_router,
    validation_faults,
)
from routellm_core.experts import check_answer_tokens
from routellm_core.strategies import Strategy

__all__ = ["RoutedChatModel"]

_HIDDEN: Any = Field(default=None, exclude=True, repr=False)
_OPTIONS = ("sticky", "on_router_error", "on_empty_prompt", "router_deadline_s", "cache_aware")


class RoutedChatModel(BatchDispatching, EventDispatching, DirectCalls, PreparedModel):
    """Send every call to one of several chat models, as a router or a strategy decides.

    It takes the place of any chat model, in chains and agents. The chosen model's run is the only
    model run: caches, rate limits, callbacks, token counts and traces are that model's own. The
    decision stands on the answer, as `response_metadata["routellm"]`, and on the run, as flat
    metadata `routellm_route` and so on and as the tag `routellm:` with the route.

    For one call, `config["configurable"]["routellm_route"]` sets the route, and
    `config["configurable"]["routellm_threshold"]` the threshold.

    A strategy may ask several models. An answer that it rejects is a run of its own with the tag
    `routellm:draft`: tracers and token counters see it, and nothing else that belongs to the
    caller. An accepted one is shown to the other callbacks, and written to the model's cache, when
    it is accepted.

    Parameters
    ----------
    strong, weak
        Chat models, or strings: "provider:model", or a LiteLLM name with a "/"; or a `Variant` of
        one. The same model with two settings is a pair, too.
    experts
        In place of these, any number of models by name, the cheapest first. The names are the
        routes. A router tells two models apart, so that others than "weak" and "strong" need a
        strategy.
    strategy
        A `Strategy` of `routellm_core.strategies`; None to choose one model by the router.
    router
        A `Router`, or the name of one, which is loaded at the first call.
    threshold
        In [0, 1]: a win rate >= `threshold` goes to the strong model.
    strong_share
        In (0, 1], instead of a threshold: the share of typical calls for the strong model.
    max_cost
        Instead of either: mean cost of a call in US dollars, at the models' prices in LiteLLM's
        table. The router's calibration has counted tokens, or `call_tokens` says (read, written).
    answer_tokens
        By route, the tokens that an answer is expected to have, those of reasoning included.
    min_quality
        Instead of them: the share of the strong model's quality to keep, in (0, 1]. Needs a router
        calibrated on outcomes.
    routing_text
        "auto", "last_user", "all_user", "conversation", or a function from the messages to a
        string. With "auto" it is the request in the last user message, without what is pasted
        around it, and of a follow-up such as "continue" what it continues.
    sticky
        Whether a turn keeps its route through tool calls and retries.
    cache_aware
        Whether, or by which `CacheSettings`, priced prompt caches move a conversation's threshold.
    on_router_error, on_empty_prompt
        The route when the router fails, and when there is no text to route.
    escalate_on
        Errors of the weak model after which the strong one answers, before anything was
        streamed. None means those that another model may not have: timeouts, rate limits,
        server errors, a prompt too long, an answer without content; () means none.
    escalate_filtered
        Whether the strong model answers in place of a filtered answer, too.
    router_deadline_s
        Seconds, above 0, that the router may take before `on_router_error` decides; None for no
        limit. A router that asks a service for embeddings needs more than the default of 0.25.
    drop_params
        By route, arguments that its model does not take and is not given, as in
        `{"weak": ["temperature"]}`.
    retry
        Further tries of the same model: how many, or `RetrySettings`, which holds the deadlines,
        too. By default none, because the models' own clients try again.
    breaker
        True, or `BreakerSettings`: stop asking a model that fails again and again, for a while.
    budget
        US dollars a day, or a `Budget`: over it, calls go to the weak model or are refused.
    monitor
        Gets a `CallRecord` of every call: a `Monitor`, a function, the path of a JSONL log, or a
        list of these.
    shadow
        The share of calls after which another model is asked, too, or `ShadowSettings`.
    temperature, max_tokens, timeout, max_retries, stop, streaming, api_key, base_url
        For all models. A ready model takes the first two, `stop` and `streaming` in a private
        copy; the others belong to its client and must be set where it is made.
    cache, rate_limiter, disable_streaming, output_version, callbacks, tags, metadata
        For all models, in private copies where these are ready.

    Raises
    ------
    ConfigurationError
        If an argument is unknown or has a value that cannot be used.
    UnknownRouterError
        If nobody registered the router's name.
    MissingDependencyError
        If a model's name needs a package that is not installed.

    Examples
    --------
    >>> from langchain_core.language_models import FakeListChatModel
    >>> from routellm_core.testing import ScriptedRouter
    >>> model = RoutedChatModel(
    ...     strong=FakeListChatModel(responses=["A proof has three parts."]),
    ...     weak=FakeListChatModel(responses=["Hello!"]),
    ...     router=ScriptedRouter({"Hi": 0.1}, default=0.9),
    ...     threshold=0.5,
    ... )
    >>> answer = model.invoke("Hi")
    >>> answer.text, answer.response_metadata["routellm"]["route"]
    ('Hello!', 'weak')
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    strong: SkipValidation[Any] = Field(default=None, exclude=True)
    weak: SkipValidation[Any] = Field(default=None, exclude=True)
    experts: SkipValidation[Mapping[str, Any] | None] = Field(default=None, exclude=True)
    strategy: SkipValidation[Strategy | None] = Field(default=None, exclude=True, repr=False)
    router: SkipValidation[str | Router] = Field(default="mf", exclude=True, repr=False)
    threshold: SkipValidation[float | None] = None
    strong_share: SkipValidation[float | None] = None
    max_cost: SkipValidation[float | None] = None
    min_quality: SkipValidation[float | None] = None
    call_tokens: SkipValidation[tuple[float, float] | None] = None
    answer_tokens: SkipValidation[Mapping[str, float] | None] = None
    routing_text: SkipValidation[RoutingText | TextReader] = "auto"
    sticky: bool = True
    cache_aware: SkipValidation[Any] = True
    on_router_error: SkipValidation[Route] = "strong"
    on_empty_prompt: SkipValidation[Route] = "strong"
    escalate_on: SkipValidation[tuple[type[BaseException], ...] | None] = None
    escalate_filtered: bool = False
    router_deadline_s: SkipValidation[float | None] = DEFAULT_ROUTER_DEADLINE_S
    drop_params: SkipValidation[Mapping[str, Sequence[str]] | None] = None

    retry: SkipValidation[RetrySettings | int | None] = _HIDDEN
    breaker: SkipValidation[BreakerSettings | bool | None] = _HIDDEN
    budget: SkipValidation[Budget | float | None] = _HIDDEN
    monitor: SkipValidation[Any] = _HIDDEN
    shadow: SkipValidation[ShadowSettings | float | None] = _HIDDEN

    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    max_retries: int | None = None
    stop: list[str] | str | None = None
    streaming: bool | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    base_url: str | None = None

    def __init__(self, **values: Any) -> None:
        unknown = sorted(values.keys() - type(self).model_fields.keys())
        if unknown:
            known = ", ".join(sorted(type(self).model_fields))
            raise ConfigurationError(
                f"`RoutedChatModel` has no argument {unknown[0]!r}. It takes: {known}."
            )
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(" ".join(validation_faults(error))) from None
        self._check()
        self._backing()
        self.guards  # noqa: B018 - refuses wrong arguments now
        if isinstance(self.router, Router) and not in_event_loop():
            # In an event loop the first call reads LiteLLM's table in a thread.
            self._routing()

    def __repr_args__(self) -> Any:
        # Models and routers are named, not shown: what they hold may be secret.
        labels = self._backing().labels
        yield from labels.items() if self.experts is None else [("experts", dict(labels))]
        if self.strategy is not None:
            yield "strategy", self.strategy
        yield "router", self.router if isinstance(self.router, str) else self.router.name
        for name, value in self._goal().items():
            if value is not None:
                yield name, value

    @property
    def models(self) -> Mapping[str, BaseChatModel]:
        """The models that are called, by route: the given ones, private copies, or made."""
        return MappingProxyType(self._backing().models)

    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to all models, by each one's own `bind_tools`."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return RunnableBinding(
            bound=self, kwargs={"tools": self._backing().binder.bind(tools, kwargs)}
        )

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable that answers in the schema, from each model's own chain.

        Arguments that are None are not passed on.
        """
        models = self._backing()
        chains = structured_chains(models, schema, {"include_raw": include_raw or None, **kwargs})
        drafts = None
        if models.drafts:
            drafts = structured_chains(models, schema, {**kwargs, "include_raw": True}, draft=True)
        return RoutedRunnable(
            self,
            chains,
            drafts=drafts,
            schema=schema,
            include_raw=include_raw,
            options=kwargs,
            needs_tools=kwargs.get("method") in (None, "function_calling"),
        )

    def get_token_ids(self, text: str) -> list[int]:
        """Return the strong model's tokens of a text."""
        return self._backing().strong.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return the number of the strong model's tokens in a text."""
        return self._backing().strong.get_num_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the number of the strong model's tokens in messages."""
        return self._backing().strong.get_num_tokens_from_messages(messages, tools)

    @property
    def _llm_type(self) -> str:
        return self._backing().llm_type

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Everything that an answer depends on: whoever caches by it must not mix up models."""
        return {
            **{route: model._get_llm_string() for route, model in self._backing().models.items()},
            "strategy": repr(self.strategy),
            "router": identity_of(self.router),
            **self._goal(),
            "routing_text": repr(self.routing_text),
            **{name: repr(getattr(self, name)) for name in _OPTIONS},
            "escalate_on": repr(self.escalate_on),
            "escalate_filtered": self.escalate_filtered,
            "drop_params": repr(self.drop_params),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        models, params = self._backing(), super()._get_ls_params(stop=stop, **kwargs)
        return {"ls_model_name": models.name, **params, "ls_provider": models.provider}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return joint_profile(self._backing().models.values())

    def _target(
        self, route: str, kwargs: dict[str, Any], *, draft: bool = False
    ) -> tuple[Runnable[Any, Any], dict[str, Any]]:
        own = self._backing()
        models = own.for_call(kwargs)
        kwargs = models.taken(route, kwargs)
        tools = kwargs.get("tools")
        if isinstance(tools, BoundTools):
            if models is not own:
                tools = models.binder.bind(tools.given, tools.options)
            rest = {name: value for name, value in kwargs.items() if name != "tools"}
            return tools.binding(route, draft=draft), rest
        return (models.drafts if draft else models.models)[route], kwargs

    def _make_models(self) -> BackingModels:
        given = models_given(self.strong, self.weak, self.experts)
        check_strategy(self.strategy, tuple(given))
        check_answer_tokens(self.answer_tokens, routes=tuple(given)[::-1])
        models = BackingModels(
            given,
            self._settings(),
            drops=check_drop_params(self.drop_params, routes=tuple(given)[::-1]),
            optional=self._assigned,
            has_drafts=self.strategy is not None,
            answer_tokens=self.answer_tokens,
        )
        if self.strategy is None:  # which may well ask one model twice
            check_different(models.models, given)
        return models

    def _make_guards(self) -> Guards:
        given = {name: getattr(self, name) for name in GUARD_FIELDS if name != "experts"}
        return make_guards(
            **given, models=self._backing().labels.values(), routes=self._backing().models
        )

    def _make_routing(self) -> Routing:
        models = self._backing()
        decider = make_decider(
            router=resolve_router(self.router),
            **self._goal(),
            experts=models.experts,
            strategy=self.strategy,
            **{name: getattr(self, name) for name in _OPTIONS},
        )
        return Routing(
            decider,
            routing_text=self.routing_text,
            worth_escalating=escalation_filter(self.escalate_on),
            escalate_filtered=self.escalate_filtered,
            guards=self.guards,
            is_watched=any(shows_tokens(model.callbacks) for model in models.models.values()),
            models=models,
        )

    def _check(self) -> None:
        """Refuse wrong arguments now, although the router may not be loaded before a call."""
        if not callable(self.routing_text):
            check_routing_text(self.routing_text)
        check_escalate_on(self.escalate_on)
        Target(**self._goal())
        goal = self._goal() if self.max_cost is None else {}
        goal.pop("answer_tokens", None)  # of the models, whose names are checked with them
        if isinstance(self.router, str):
            check_router(self.router)
            # Any router will do to check the other arguments.
            router, goal = load_router("random"), {}
        else:
            router = resolve_router(self.router)
        make_decider(
            router=router,
            **goal,
            strong_model="strong",
            weak_model="weak",
            **{name: getattr(self, name) for name in _OPTIONS},
        )

    def _goal(self) -> dict[str, Any]:
        """Return what routing is to reach, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(Target)}
