"""What a routed model works out from its settings, and keeps: decider, guards and metadata."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from llamaindex_routellm.frames import load_frames
from llamaindex_routellm.messages import ChatView
from llamaindex_routellm.metadata import capabilities, model_name, read_experts
from llamaindex_routellm.variants import check_different, efforts_of, settings_of
from routellm_core import (
    Capabilities,
    ConfigurationError,
    HistoryReader,
    PastAnswer,
    Target,
    check_router,
    escalation_filter,
    make_decider,
    make_guards,
    resolve_router,
)
from routellm_core.experts import Expert, ExpertTable
from routellm_core.strategies import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners, Words
    from llamaindex_routellm.metadata import ExpertFacts, FunctionCalling
    from llamaindex_routellm.origins import Origins
    from llamaindex_routellm.runtime import Runtime
    from llamaindex_routellm.variants import Efforts
    from routellm_core import Decider, Guards, Route, Router, Score, Usage

__all__ = ["Deciding"]


class Deciding:
    """Make each part at its first use, once for all threads; `RoutedLLM` has the settings."""

    if TYPE_CHECKING:
        strong: LLM | None
        weak: LLM | None
        experts: dict[str, LLM] | None
        strategy: Any
        router: Any
        max_cost: float | None
        fallback: bool
        escalate_on: tuple[type[BaseException], ...] | None
        function_calling: FunctionCalling
        sticky: bool
        on_router_error: Route
        on_empty_prompt: Route
        router_deadline_s: float | None
        remember: int
        cache_aware: Any
        retry: Any
        breaker: Any
        budget: Any
        monitor: Any
        shadow: Any
        __pydantic_private__: dict[str, Any] | None

    def _check_router(self) -> None:
        """Refuse arguments that no call could use, without loading a router."""
        router, strategy = self.router, self.strategy
        if strategy is not None and not isinstance(strategy, Strategy):
            raise ConfigurationError(
                f"`strategy` must be a `Strategy`, got {type(strategy).__name__}. "
                "`routellm_core.strategies.load_strategy` makes one of a name."
            )
        if strategy is None and not self._table(None).is_pair:
            raise ConfigurationError(
                f"A router tells two models apart, and `experts` are {list(self._backings())}. "
                "Pass a `strategy`, or a pair as `strong` and `weak`."
            )
        if strategy is None:  # which may well ask one model twice
            check_different(self._backings())
        Target(**self._goal())
        goal = self._goal() if self.max_cost is None else {}
        goal.pop("answer_tokens", None)
        if isinstance(router, str):
            check_router(router)
            # Any router will do to check the other arguments, but not to rate models.
            router, goal, strategy = "random", {}, None
        self._make_decider(resolve_router(router), goal=goal, strategy=strategy)

    def _goal(self) -> dict[str, Any]:
        """Return what routing is to reach, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(Target)}

    def _backings(self) -> Mapping[str, LLM]:
        """Return the models by expert, the cheapest first."""
        runtime = self._kept()
        models = runtime.models
        if models is None:
            models = self.experts
            if models is None:
                assert self.weak is not None  # noqa: S101 - a pair was checked
                assert self.strong is not None  # noqa: S101
                models = {"weak": self.weak, "strong": self.strong}
            runtime.models = models
        return models

    def _table(self, facts: ExpertFacts | None) -> ExpertTable:
        """Return the experts; without facts, any model may take anything."""
        return ExpertTable(
            Expert(
                name,
                model_name(model),
                Capabilities() if facts is None else capabilities(model, facts.said[name]),
                settings_of(model),
            )
            for name, model in self._backings().items()
        )

    def _efforts(self) -> Efforts:
        """Return the models for calls that say by themselves how much to think."""
        runtime = self._kept()
        if runtime.efforts is None:
            is_all = self._table(None).differs_by_effort
            runtime.efforts = efforts_of(self._backings(), is_all=is_all)
        return runtime.efforts

    def _make_decider(
        self,
        router: Router,
        facts: ExpertFacts | None = None,
        *,
        goal: dict[str, Any],
        strategy: Strategy | None,
    ) -> Decider:
        return make_decider(
            router=router,
            **goal,
            experts=self._table(facts),
            strategy=strategy,
            sticky=self.sticky,
            on_router_error=self.on_router_error,
            on_empty_prompt=self.on_empty_prompt,
            router_deadline_s=self.router_deadline_s,
            remember=self.remember,
            cache_aware=self.cache_aware,
        )

    def _kept(self) -> Runtime:
        # Read where pydantic keeps it: its own lookup costs ten times as much.
        private: dict[str, Runtime] = self.__pydantic_private__ or {}
        return private["_runtime"]

    def _facts(self) -> ExpertFacts:
        facts = self._kept().facts
        if facts is None:
            facts = read_experts(self._backings(), self.function_calling)
            self._kept().facts = facts
        return facts

    @property
    def guards(self) -> Guards:
        """The retries, breakers, budget, monitor and shadow, as they are now."""
        return self._guards()

    def record_outcome(self, call_id: str, score: Score, *, comment: str | None = None) -> None:
        """Write down how good an answer was, beside the record of its call.

        `answer.additional_kwargs["routellm"]["call_id"]` names the call; see
        `Monitor.record_outcome`.

        Raises
        ------
        ConfigurationError
            If a value cannot be used, or there is no `monitor` with a log.
        """
        self._guards().record_outcome(call_id, score, comment=comment)

    def _guards(self) -> Guards:
        runtime = self._kept()
        if runtime.guards is None:
            with runtime.lock:
                if runtime.guards is None:
                    runtime.guards = make_guards(
                        retry=self.retry,
                        breaker=self.breaker,
                        budget=self.budget,
                        monitor=self.monitor,
                        shadow=self.shadow,
                        models=[expert.label for expert in self._table(None)],
                        routes=list(self._backings()),
                    )
        return runtime.guards

    def _history(self, decider: Decider) -> HistoryReader | None:
        """Return what reads the models' prompt caches; None where nothing of them is priced."""
        caching = decider.policy.caching
        if caching is None or not caching.cached_experts:
            return None
        return HistoryReader(caching, self._kept().prefixes.answer)

    def _prompt_noter(
        self, messages: Sequence[ChatMessage | Words]
    ) -> Callable[[str, str, Usage | None], None] | None:
        """Return what notes who answered a chat, for its next turn; None where nobody asks."""
        history = self._history(self._decider()) if messages else None
        if history is None:
            return None
        asked, rule, prefixes = list(messages), history.rule, self._kept().prefixes

        def note(expert: str, model: str, usage: Usage | None) -> None:
            if expert in rule.cached_experts:
                view = ChatView(asked)
                texts = [view.text(message) for message in asked]
                prefixes.note(texts, PastAnswer(expert, model, rule.clock(), usage))

        return note

    def _owners(self) -> Owners:
        return self._kept().owners

    def _origins(self) -> Origins:
        return self._kept().origins

    def _decider(self) -> Decider:
        runtime = self._kept()
        if runtime.decider is None:
            # Under a lock, so that a burst of first calls loads the router once.
            with runtime.lock:
                if runtime.decider is None:
                    load_frames()  # here, because `_adecider` is in a thread
                    router = resolve_router(self.router)
                    runtime.decider = self._make_decider(
                        router, self._facts(), goal=self._goal(), strategy=self.strategy
                    )
        return runtime.decider

    async def _adecider(self) -> Decider:
        decider = self._kept().decider
        if decider is None:
            from asyncio import to_thread

            decider = await to_thread(self._decider)
        return decider

    def _worth_escalating(self) -> Callable[[BaseException], bool]:
        return escalation_filter(self.escalate_on if self.fallback else ())
