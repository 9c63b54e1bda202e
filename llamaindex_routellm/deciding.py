"""What a routed model works out from its settings, and keeps: decider, guards and metadata."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from llamaindex_routellm.frames import load_frames
from llamaindex_routellm.metadata import capabilities, model_name, read_pair
from routellm_core import (
    Target,
    check_router,
    escalation_filter,
    make_decider,
    make_guards,
    resolve_router,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners
    from llamaindex_routellm.metadata import FunctionCalling, PairFacts
    from llamaindex_routellm.origins import Origins
    from llamaindex_routellm.runtime import Runtime
    from routellm_core import Decider, Guards, Route, Router

__all__ = ["Deciding"]


class Deciding:
    """Make each part at its first use, once for all threads; `RoutedLLM` has the settings."""

    if TYPE_CHECKING:
        strong: LLM
        weak: LLM
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
        retry: Any
        breaker: Any
        budget: Any
        monitor: Any
        __pydantic_private__: dict[str, Any] | None

    def _check_router(self) -> None:
        """Refuse arguments that no call could use, without loading a router."""
        router = self.router
        Target(**self._goal())
        goal = self._goal() if self.max_cost is None else {}
        if isinstance(router, str):
            check_router(router)
            # Any router will do to check the other arguments.
            router, goal = "random", {}
        self._make_decider(resolve_router(router), goal=goal)

    def _goal(self) -> dict[str, Any]:
        """Return what routing is to reach, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(Target)}

    def _make_decider(
        self, router: Router, facts: PairFacts | None = None, *, goal: dict[str, Any]
    ) -> Decider:
        return make_decider(
            router=router,
            **goal,
            strong_model="strong" if facts is None else model_name(self.strong),
            weak_model="weak" if facts is None else model_name(self.weak),
            strong=None if facts is None else capabilities(self.strong, facts.said["strong"]),
            weak=None if facts is None else capabilities(self.weak, facts.said["weak"]),
            sticky=self.sticky,
            on_router_error=self.on_router_error,
            on_empty_prompt=self.on_empty_prompt,
            router_deadline_s=self.router_deadline_s,
            remember=self.remember,
        )

    def _kept(self) -> Runtime:
        # Read where pydantic keeps it: its own lookup costs ten times as much.
        private: dict[str, Runtime] = self.__pydantic_private__ or {}
        return private["_runtime"]

    def _facts(self) -> PairFacts:
        facts = self._kept().facts
        if facts is None:
            facts = read_pair(self.strong, self.weak, self.function_calling)
            self._kept().facts = facts
        return facts

    @property
    def guards(self) -> Guards:
        """The retries, breakers, budget and monitor, as they are now."""
        return self._guards()

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
                        models=(model_name(self.strong), model_name(self.weak)),
                    )
        return runtime.guards

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
                    runtime.decider = self._make_decider(router, self._facts(), goal=self._goal())
        return runtime.decider

    async def _adecider(self) -> Decider:
        decider = self._kept().decider
        if decider is None:
            from asyncio import to_thread

            decider = await to_thread(self._decider)
        return decider

    def _worth_escalating(self) -> Callable[[BaseException], bool]:
        return escalation_filter(self.escalate_on if self.fallback else ())
