"""The drop-in for RouteLLM's Controller: OpenAI's chat completions, routed, over LiteLLM."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from routellm_core._litellm import import_litellm, quiet_litellm, unseen_arguments
from routellm_core.controller.calls import Endpoint, read_call, resolved_endpoints
from routellm_core.controller.config import load_routers
from routellm_core.controller.fleet import Fleet, check_different, expert_table
from routellm_core.controller.litellm_call import LiteLLMCall, unseen, usage_of
from routellm_core.controller.reading import fields_of, read_answer
from routellm_core.controller.streams import AsyncRoutedStream, RoutedStream
from routellm_core.errors import ConfigurationError
from routellm_core.experts import with_settings
from routellm_core.plan import (
    OtherAnswer,
    adrive,
    astream,
    drive,
    escalation_filter,
    make_guards,
    stream,
)
from routellm_core.policy import check_drop_params, check_model, check_threshold, note_threshold
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path

    from routellm_core.answers import Answer, Request
    from routellm_core.controller.calls import Call
    from routellm_core.controller.config import RouterOptions
    from routellm_core.experts import Variant
    from routellm_core.monitoring import Score
    from routellm_core.plan import BreakerSettings, Budget, RetrySettings, ShadowSettings
    from routellm_core.routers.base import Router
    from routellm_core.strategies import Strategy
    from routellm_core.types import Decision

__all__ = ["Controller", "RoutingError"]

RoutingError = ConfigurationError
"""RouteLLM's name for what is wrong with a router, a threshold or a model name."""


class Controller:
    """Answer chat completions with the strong or the weak model, whichever the prompt needs.

    The answer is LiteLLM's, with the decision under `answer.routellm`, or `stream.decision` for a
    stream. A weak model that fails before its first content is followed by the strong one.

    With a `strategy`, several models may be asked for one answer. A draft that is rejected is never
    given out; for LiteLLM's callbacks its call has the tag "routellm:draft" in `metadata["tags"]`.
    A stream is held back until its answer is accepted.

    Parameters
    ----------
    routers
        Names as `load_router` takes them, or a router for each name that requests will use.
    strong_model, weak_model
        Models as LiteLLM names them: "gpt-4o", "anthropic/claude-sonnet-4-5",
        "ollama_chat/llama3.2"; or a `Variant` of one, with settings of its own. None with
        `experts`.
    config
        What each router is loaded with: a mapping, or a YAML file; see `load_routers`.
    api_base, api_key
        Where all models are reached. Left out, LiteLLM's environment variables apply.
    progress_bar
        Whether loading the routers shows a bar.
    strong_api_base, strong_api_key, weak_api_base, weak_api_key
        The same for one model, instead of `api_base` and `api_key`.
    strategy
        How a call becomes an answer; None for the router's win rate against a threshold, as is
        done for "router-NAME-THRESHOLD" in any case.
    experts
        Models by names of your own, the cheapest first, in place of the pair; others than "weak"
        and "strong" need a `strategy`. Requests may name an expert as their model.
    endpoints
        For some of the experts, where each is reached, as an `Endpoint` or its arguments.
    escalate_on
        Errors of the weak model after which the strong one is asked; None for faults that another
        model may not have, () for none.
    retry, breaker, budget, monitor, shadow
        Further tries, breakers, a cap on costs, records of calls, and a share of calls after which
        another model is asked, too; see `make_guards`.
    escalate_filtered
        Whether the strong model is asked where the weak one's answer was filtered.
    drop_params
        Arguments that a model does not take, by "strong" and "weak" or by expert: they are left
        out for it.
    options
        Further arguments of `Fleet`: `threshold` or `strong_share` for the model name "auto",
        `routing_text`, and what `make_decider` takes, as `answer_tokens`. With
        `cache_aware=True`, the default, the threshold of "auto" moves with what the models' prompt
        caches hold of a conversation.

    Raises
    ------
    UnknownRouterError
        If nobody registered a name.
    ConfigurationError
        If an argument has a value that cannot be used.

    Examples
    --------
    ::

        client = Controller(routers=["mf"], strong_model="gpt-4o", weak_model="gpt-4o-mini")
        answer = client.chat.completions.create(
            model="router-mf-0.5", messages=[{"role": "user", "content": "Hello!"}]
        )
    """

    def __init__(
        self,
        routers: Sequence[str] | Mapping[str, Router],
        strong_model: str | Variant | None = None,
        weak_model: str | Variant | None = None,
        config: RouterOptions | str | Path | None = None,
        api_base: str | None = None,
        api_key: str | None = None,
        progress_bar: bool = False,
        *,
        strong_api_base: str | None = None,
        strong_api_key: str | None = None,
        weak_api_base: str | None = None,
        weak_api_key: str | None = None,
        strategy: Strategy | None = None,
        experts: Mapping[str, str | Variant] | None = None,
        endpoints: Mapping[str, Endpoint | Mapping[str, str]] | None = None,
        escalate_on: tuple[type[BaseException], ...] | None = None,
        retry: RetrySettings | int | None = None,
        breaker: BreakerSettings | bool | None = None,
        budget: Budget | float | None = None,
        monitor: Any = None,
        shadow: ShadowSettings | float | None = None,
        escalate_filtered: bool = False,
        drop_params: Mapping[str, Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        loaded = _loaded(routers, config=config, progress_bar=progress_bar)
        models: dict[str, Any] = {"strong_model": strong_model, "weak_model": weak_model}
        table = None if experts is None else expert_table(experts)
        self.fleet = Fleet(loaded, **models, experts=table, strategy=strategy, **options)
        names = self.fleet.experts.names
        self.guards = make_guards(
            retry=retry,
            breaker=breaker,
            budget=budget,
            monitor=monitor,
            shadow=shadow,
            models=[expert.label for expert in self.fleet.experts],
            routes=names,
        )
        """The retries, breakers, budget, monitor and shadow, as they are now."""
        self.model_counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        """How often each router chose each model, by router and model name."""
        self._both = Endpoint(api_base, api_key)
        pair = {
            "strong": Endpoint(strong_api_base, strong_api_key),
            "weak": Endpoint(weak_api_base, weak_api_key),
        }
        stated = {role: own for role, own in pair.items() if own != Endpoint()}
        self._endpoints = resolved_endpoints(
            self.fleet.experts, self._both, {**stated, **(endpoints or {})}
        )
        self._check_models()
        self._dropped = check_drop_params(drop_params, routes=names[::-1])
        if strategy is None:  # which may well ask one model twice
            asked = {name: (self._endpoints[name], self._dropped.get(name)) for name in names}
            check_different(self.fleet.experts, asked)
        self._worth_escalating = escalation_filter(escalate_on)
        self._escalate_filtered = escalate_filtered
        self._counting = threading.Lock()
        self.chat = SimpleNamespace(
            completions=SimpleNamespace(create=self.completion, acreate=self.acompletion)
        )

    @property
    def routers(self) -> dict[str, Router]:
        """The loaded routers, by name."""
        return {name: decider.router for name, decider in self.fleet.deciders.items()}

    def completion(
        self, *, router: str | None = None, threshold: float | None = None, **request: Any
    ) -> Any:
        """Return the routed answer to a chat completion request.

        Parameters
        ----------
        router, threshold
            Who decides and from which win rate on, when `model` is not given.
        request
            LiteLLM's arguments. `model` is "router-NAME-THRESHOLD", "router-NAME-share-PERCENT",
            "auto", or any model that LiteLLM knows, which is then asked without routing.

        Returns
        -------
        LiteLLM's answer; with `stream=True` a `RoutedStream` of its chunks.

        Raises
        ------
        ConfigurationError
            If the router, threshold or model name cannot be used.
        """
        litellm = import_litellm()
        call = read_call(self.fleet, request, router=router, threshold=threshold)
        if call is None:
            return litellm.completion(**{**self._plain(request), **request})
        started_s = time.perf_counter()
        routed = self._begun(
            call, call.decider.decide(call.turn, call.overrides), started_s, self._ask_model
        )
        if call.request.get("stream"):
            return self._settled(RoutedStream(stream(routed, self._open), routed), routed)
        return self._finished(drive(routed, self._ask), routed)

    async def acompletion(
        self, *, router: str | None = None, threshold: float | None = None, **request: Any
    ) -> Any:
        """Return what `completion` returns, without blocking the event loop."""
        litellm = import_litellm()
        call = read_call(self.fleet, request, router=router, threshold=threshold)
        if call is None:
            return await litellm.acompletion(**{**self._plain(request), **request})
        started_s = time.perf_counter()
        decision = await call.decider.adecide(call.turn, call.overrides)
        routed = self._begun(call, decision, started_s, self._aask_model)
        if call.request.get("stream"):
            begun = await AsyncRoutedStream.begin(astream(routed, self._aopen), routed)
            return self._settled(begun, routed)
        return self._finished(await adrive(routed, self._aask), routed)

    def route(self, prompt: str, router: str, threshold: float) -> str:
        """Return the name of the model that a prompt goes to.

        Raises
        ------
        ConfigurationError
            If the router is not loaded, or the threshold is not a number in [0, 1].
        """
        scorer = self.fleet.decider(router).router
        limit = check_threshold(threshold)
        note_threshold(scorer, limit)
        strong = scorer.win_rate(prompt) >= limit
        return self.fleet.strong_model if strong else self.fleet.weak_model

    def batch_calculate_win_rate(self, prompts: Any, router: str) -> Any:
        """Return the win rates of n prompts, scored in one batch.

        Parameters
        ----------
        prompts
            A sequence of strings, or a pandas series of them.
        router
            Name of a loaded router.

        Returns
        -------
        Shape (n,): an array, or a series with the prompts' index when a series was given.
        """
        win_rates = self.fleet.decider(router).router.win_rates(list(prompts))
        if not hasattr(prompts, "index") or not hasattr(prompts, "iloc"):
            return win_rates
        return type(prompts)(win_rates, index=prompts.index, name=prompts.name)

    def _check_models(self) -> None:
        for expert in self.fleet.experts:
            # A key may come with a request, and scoring prompts needs none: a missing one is
            # raised by the call. An unknown provider can never be right.
            base = self._endpoints[expert.name].api_base
            check_model(expert.model, role=expert.name, base_url=base, key_needed=False)

    def _begun(
        self, call: Call, decision: Decision, started_s: float, ask_verifier: Any
    ) -> LiteLLMCall:
        attempts = call.attempts(
            decision,
            self.guards,
            worth_escalating=self._worth_escalating,
            started_s=started_s,
            on_answer=self.fleet.prompt_noter(call.decider, call.request["messages"]),
        )
        with self._counting:
            self.model_counts[call.decider.policy.router][attempts.decision.model] += 1
        if attempts.shadow is not None:
            call = call.kept()
        routed = LiteLLMCall(attempts, call, escalate_filtered=self._escalate_filtered)
        if attempts.step is not None:
            routed.ask_verifier = partial(ask_verifier, routed)
        if attempts.shadow is not None:
            routed.ask_other = partial(self._ask_other, routed)
        return routed

    def _ask_other(self, routed: LiteLLMCall, expert: str, *, timeout_s: float) -> OtherAnswer:
        """Ask another expert what a call asked; LiteLLM's callbacks and cache don't see it."""
        fields = unseen(routed.call.request, timeout_s=timeout_s)
        with quiet_litellm() as litellm:
            sent = self._sent(expert, fields)
            quiet = unseen_arguments(sent["model"], sent["messages"], call_type="completion")
            answer = litellm.completion(**sent, **quiet)
        return OtherAnswer(read_answer(answer.model_dump()), usage_of(answer))

    def record_outcome(self, call_id: str, score: Score, *, comment: str | None = None) -> None:
        """Write down how good an answer was: `answer.routellm["call_id"]` names its call.

        See `Monitor.record_outcome`.

        Raises
        ------
        ConfigurationError
            If a value cannot be used, or there is no `monitor` with a log.
        """
        self.guards.record_outcome(call_id, score, comment=comment)

    def _ask(self, routed: LiteLLMCall) -> Any:
        with quiet_litellm() as litellm:
            return routed.answered(litellm.completion(**self._arguments(routed)))

    async def _aask(self, routed: LiteLLMCall) -> Any:
        with quiet_litellm() as litellm:
            return routed.answered(await litellm.acompletion(**self._arguments(routed)))

    def _open(self, routed: LiteLLMCall) -> Iterator[Any]:
        with quiet_litellm() as litellm:
            return routed.read(litellm.completion(**self._arguments(routed)))

    async def _aopen(self, routed: LiteLLMCall) -> AsyncIterator[Any]:
        with quiet_litellm() as litellm:
            return routed.aread(await litellm.acompletion(**self._arguments(routed)))

    def _finished(self, answer: Any, routed: LiteLLMCall) -> Any:
        """Return a whole answer with its decision."""
        setattr(answer, RECORD_KEY, routed.decision.record())
        return self._settled(answer, routed)

    def _settled(self, answer: Any, routed: LiteLLMCall) -> Any:
        """Note whose answer a strategy gives out; return it."""
        if routed.attempts.step is not None:
            self.fleet.note_answer(routed.call.request["messages"], routed.route)
        return answer

    def _ask_model(self, routed: LiteLLMCall, question: Request) -> Answer:
        """Ask a model for a verifier."""
        with quiet_litellm() as litellm:
            answer = litellm.completion(**self._question(routed, question))
        return replace(read_answer(answer.model_dump()), usage=routed.used(answer))

    async def _aask_model(self, routed: LiteLLMCall, question: Request) -> Answer:
        with quiet_litellm() as litellm:
            answer = await litellm.acompletion(**self._question(routed, question))
        return replace(read_answer(answer.model_dump()), usage=routed.used(answer))

    def _question(self, routed: LiteLLMCall, question: Request) -> dict[str, Any]:
        named = routed.route if question.model is None else str(question.model)
        experts = self.fleet.experts
        route = named if named in experts else self.fleet.route_of(named)
        if route is None:
            return {**self._both.arguments(), **fields_of(question), "model": named}
        return self._sent(route, fields_of(question))

    def _arguments(self, routed: LiteLLMCall) -> dict[str, Any]:
        request = routed.call.request
        return self._sent(routed.route, routed.drafted(request) if routed.is_draft else request)

    def _sent(self, route: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return LiteLLM's arguments for a request to an expert."""
        dropped = self._dropped.get(route, ())
        taken = {name: value for name, value in fields.items() if name not in dropped}
        expert = self.fleet.experts[route]
        if expert.settings:
            taken = with_settings(expert.settings, taken)
        return {**self._endpoints[route].arguments(), **taken, "model": expert.model}

    def _plain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return where a model is reached that was named without routing."""
        route = self.fleet.route_of(str(request.get("model")))
        return (self._both if route is None else self._endpoints[route]).arguments()


def _loaded(
    routers: Sequence[str] | Mapping[str, Router], *, config: Any, progress_bar: bool
) -> dict[str, Router]:
    """Return routers by name, loaded where they are names."""
    if hasattr(routers, "items"):
        return dict(routers.items())
    return load_routers(routers, config=config, show_progress=progress_bar)
