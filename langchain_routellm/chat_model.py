"""The routed chat model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import ConfigDict, Field, SecretStr, SkipValidation, ValidationError

from langchain_routellm.backing import joint_profile
from langchain_routellm.batching import BatchDispatching
from langchain_routellm.checks import check_escalate_on, check_picklable
from langchain_routellm.direct import DirectCalls
from langchain_routellm.events import EventDispatching
from langchain_routellm.pair import BackingPair, identity_of
from langchain_routellm.routing import Routing, TextReader
from langchain_routellm.structured import RoutedRunnable, structured_chains
from langchain_routellm.tools import BoundTools, Tool
from routellm_core import (
    BreakerSettings,
    Budget,
    ConfigurationError,
    Guards,
    RetrySettings,
    Route,
    Router,
    RoutingText,
    Target,
    check_router,
    check_routing_text,
    escalation_filter,
    load_router,
    make_decider,
    make_guards,
    resolve_router,
)

__all__ = ["RoutedChatModel"]

_LOADING = threading.RLock()
_READY = _PAIR, _ROUTING, _GUARDS = "_pair", "_routing_ready", "_guards_ready"
_GUARD_FIELDS = frozenset({"retry", "breaker", "budget", "monitor"})
_FORWARDED = (
    "temperature", "max_tokens", "timeout", "max_retries", "stop", "streaming", "api_key",
    "base_url", "cache", "rate_limiter", "output_version", "custom_get_token_ids", "callbacks",
    "tags",
)  # fmt: skip


class RoutedChatModel(BatchDispatching, EventDispatching, DirectCalls, BaseChatModel):
    """Send every call to the strong or to the weak chat model, as a router decides.

    It takes the place of any chat model, in chains and agents. The chosen model's run is the only
    model run: caches, rate limits, callbacks, token counts and traces are that model's own. The
    decision stands on the answer, as `response_metadata["routellm"]`, and on the run, as flat
    metadata `routellm_route` and so on and as the tag `routellm:strong` or `routellm:weak`.

    For one call, `config["configurable"]["routellm_route"]` sets the route, and
    `config["configurable"]["routellm_threshold"]` the threshold.

    Parameters
    ----------
    strong, weak
        Chat models, or strings: "provider:model", or a LiteLLM name with a "/".
    router
        A `Router`, or the name of one, which is loaded at the first call.
    threshold
        In [0, 1]: a win rate >= `threshold` goes to the strong model.
    strong_share
        In (0, 1], instead of a threshold: the share of typical calls for the strong model.
    max_cost
        Instead of either: mean cost of a call in US dollars, at the models' prices in LiteLLM's
        table. The router's calibration has counted tokens, or `call_tokens` says (read, written).
    min_quality
        Instead of them: the share of the strong model's quality to keep, in (0, 1]. Needs a router
        calibrated on outcomes.
    routing_text
        "last_user", "all_user", "conversation", or a function from the messages to a string.
    sticky
        Whether a turn keeps its route through tool calls and retries.
    on_router_error, on_empty_prompt
        The route when the router fails, and when there is no text to route.
    escalate_on
        Errors of the weak model after which the strong one answers, before anything was
        streamed. None means those that another model may not have: timeouts, rate limits,
        server errors, a prompt too long; () means none.
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
    temperature, max_tokens, timeout, max_retries, stop, streaming, api_key, base_url
        For both models. A ready model takes the first two, `stop` and `streaming` in a private
        copy; the others belong to its client and must be set where it is made.
    cache, rate_limiter, disable_streaming, output_version, callbacks, tags, metadata
        For both models, in private copies where these are ready.

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

    strong: SkipValidation[Any] = Field(exclude=True)
    weak: SkipValidation[Any] = Field(exclude=True)
    router: SkipValidation[str | Router] = Field(default="mf", exclude=True, repr=False)
    threshold: SkipValidation[float | None] = None
    strong_share: SkipValidation[float | None] = None
    max_cost: SkipValidation[float | None] = None
    min_quality: SkipValidation[float | None] = None
    call_tokens: SkipValidation[tuple[float, float] | None] = None
    routing_text: SkipValidation[RoutingText | TextReader] = "last_user"
    sticky: bool = True
    on_router_error: SkipValidation[Route] = "strong"
    on_empty_prompt: SkipValidation[Route] = "strong"
    escalate_on: SkipValidation[tuple[type[BaseException], ...] | None] = None

    retry: SkipValidation[RetrySettings | int | None] = Field(
        default=None, exclude=True, repr=False
    )
    breaker: SkipValidation[BreakerSettings | bool | None] = Field(
        default=None, exclude=True, repr=False
    )
    budget: SkipValidation[Budget | float | None] = Field(default=None, exclude=True, repr=False)
    monitor: SkipValidation[Any] = Field(default=None, exclude=True, repr=False)

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
            problems = error.errors(include_input=False, include_url=False)
            raise ConfigurationError(
                "; ".join(f"`{problem['loc'][0]}`: {problem['msg']}" for problem in problems) + "."
            ) from None
        self._check()
        self._backing()
        self.guards  # noqa: B018 - refuses wrong arguments now
        if isinstance(self.router, Router):
            self._routing()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            self._forget()
        if name in _GUARD_FIELDS:
            self.__dict__.pop(_GUARDS, None)

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> RoutedChatModel:
        """Return a copy; what was worked out from the changed fields is worked out again."""
        copy = super().model_copy(update=update, deep=deep)
        copy._forget()
        if deep or _GUARD_FIELDS & set(update or ()):
            copy.__dict__.pop(_GUARDS, None)
        return copy

    def __getstate__(self) -> dict[Any, Any]:
        for name in ("router", "strong", "weak", "monitor"):
            check_picklable(name, getattr(self, name))
        state: dict[Any, Any] = super().__getstate__()
        fields = {key: value for key, value in state["__dict__"].items() if key not in _READY}
        return {**state, "__dict__": fields}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> RoutedChatModel:
        bare = super().__copy__()
        bare._forget()  # locks and threads among it cannot be copied
        bare.__dict__.pop(_GUARDS, None)
        return super(RoutedChatModel, bare).__deepcopy__(memo)

    def __repr_args__(self) -> Any:
        # Models and routers are named, not shown: what they hold may be secret.
        yield "strong", self._backing().labels["strong"]
        yield "weak", self._backing().labels["weak"]
        yield "router", self.router if isinstance(self.router, str) else self.router.name
        for name, value in self._goal().items():
            if value is not None:
                yield name, value

    @property
    def guards(self) -> Guards:
        """The retries, breakers, budget and monitor, as they are now; copies share them."""
        guards: Guards | None = self.__dict__.get(_GUARDS)
        if guards is None:
            with _LOADING:
                guards = self.__dict__.get(_GUARDS)
                if guards is None:
                    guards = self.__dict__[_GUARDS] = make_guards(
                        retry=self.retry,
                        breaker=self.breaker,
                        budget=self.budget,
                        monitor=self.monitor,
                        models=self._backing().labels.values(),
                    )
        return guards

    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to both models, by each one's own `bind_tools`."""
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
        options = {"include_raw": include_raw or None, **kwargs}
        chains = structured_chains(self._backing().models, schema, options)
        needs_tools = kwargs.get("method") in (None, "function_calling")
        return RoutedRunnable(self, chains, needs_tools=needs_tools)

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
        pair = self._backing()
        return {
            "strong": pair.strong._get_llm_string(),
            "weak": pair.weak._get_llm_string(),
            "router": identity_of(self.router),
            **self._goal(),
            "routing_text": repr(self.routing_text),
            "sticky": self.sticky,
            "on_router_error": self.on_router_error,
            "on_empty_prompt": self.on_empty_prompt,
            "escalate_on": repr(self.escalate_on),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        pair, params = self._backing(), super()._get_ls_params(stop=stop, **kwargs)
        return {"ls_model_name": pair.name, **params, "ls_provider": pair.provider}

    def _resolve_model_profile(self) -> ModelProfile | None:
        pair = self._backing()
        return joint_profile(pair.strong, pair.weak)

    def _target(
        self, route: str, kwargs: dict[str, Any]
    ) -> tuple[Runnable[Any, Any], dict[str, Any]]:
        tools = kwargs.get("tools")
        if isinstance(tools, BoundTools):
            rest = {name: value for name, value in kwargs.items() if name != "tools"}
            return tools.binding(route), rest
        return self._backing().models[route], kwargs

    def _backing(self) -> BackingPair:
        pair: BackingPair | None = self.__dict__.get(_PAIR)
        if pair is None:
            pair = self.__dict__[_PAIR] = BackingPair(self.strong, self.weak, self._settings())
        return pair

    def _routing(self) -> Routing:
        routing: Routing | None = self.__dict__.get(_ROUTING)
        return routing if routing is not None else self._load_routing()

    async def _arouting(self) -> Routing:
        routing: Routing | None = self.__dict__.get(_ROUTING)
        return routing if routing is not None else await asyncio.to_thread(self._load_routing)

    def _load_routing(self) -> Routing:
        with _LOADING:
            routing: Routing | None = self.__dict__.get(_ROUTING)
            if routing is None:
                routing = self.__dict__[_ROUTING] = self._make_routing(resolve_router(self.router))
            return routing

    def _make_routing(self, router: Router) -> Routing:
        pair = self._backing()
        decider = make_decider(
            router=router,
            **self._goal(),
            strong_model=pair.labels["strong"],
            weak_model=pair.labels["weak"],
            strong=pair.capabilities["strong"],
            weak=pair.capabilities["weak"],
            sticky=self.sticky,
            on_router_error=self.on_router_error,
            on_empty_prompt=self.on_empty_prompt,
        )
        return Routing(
            decider,
            routing_text=self.routing_text,
            worth_escalating=escalation_filter(self.escalate_on),
            guards=self.guards,
        )

    def _check(self) -> None:
        """Refuse wrong arguments now, although the router may not be loaded before a call."""
        if not callable(self.routing_text):
            check_routing_text(self.routing_text)
        check_escalate_on(self.escalate_on)
        if isinstance(self.router, str):
            check_router(self.router)
        else:
            resolve_router(self.router)
        Target(**self._goal())
        make_decider(
            router=load_router("random"),
            strong_model="strong",
            weak_model="weak",
            on_router_error=self.on_router_error,
            on_empty_prompt=self.on_empty_prompt,
        )

    def _goal(self) -> dict[str, Any]:
        """Return what routing is to reach, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(Target)}

    def _settings(self) -> dict[str, object]:
        """Return what the models get, by field name: what was set to something."""
        settings = {name: getattr(self, name) for name in _FORWARDED}
        settings["disable_streaming"] = self.disable_streaming or None
        settings["verbose"] = self.verbose or None
        own = {key: value for key, value in (self.metadata or {}).items() if key != "lc_versions"}
        settings["metadata"] = own or None
        return {name: value for name, value in settings.items() if value is not None}

    def _forget(self) -> None:
        self.__dict__.pop(_PAIR, None)
        self.__dict__.pop(_ROUTING, None)
