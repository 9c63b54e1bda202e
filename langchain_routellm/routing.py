"""From a call's input to a decided call: what is read, and what is decided.

Nothing here calls a model. The entry points in `dispatch`, `batching`, `events` and `direct` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeAlias

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_routellm.cache_marks import refuses_marks
from langchain_routellm.calls import Beside, Call, Drafting, Target
from langchain_routellm.messages import LangChainView, past_answer, read_messages
from langchain_routellm.models import BackingModels
from langchain_routellm.reading import Asked
from langchain_routellm.usage import UsageReader
from langchain_routellm.variants import says_effort
from routellm_core import (
    Decider,
    Decision,
    Guards,
    HistoryReader,
    Overrides,
    PromptError,
    RoutingText,
    Turn,
    read_turn,
)

__all__ = ["Routing", "TextReader"]

TextReader: TypeAlias = Callable[[Sequence[BaseMessage]], str]
"""A user's own choice of the text that is routed."""

_VIEW = LangChainView()
_NO_EXPERTS: frozenset[str] = frozenset()


class Routing:
    """Decide calls for a table of models.

    Parameters
    ----------
    decider
        The router and the policy.
    routing_text
        Which text is routed, or a function of the messages.
    worth_escalating
        The test that an error must pass for the strong model to be tried.
    escalate_filtered
        Whether a filtered answer is unusable.
    guards
        Retries, breakers, budget, monitor and shadow.
    is_watched
        Whether callbacks of the models show their tokens.
    models
        The models.
    """

    __slots__ = (
        "_dated",
        "_escalate_filtered",
        "_history",
        "_is_watched",
        "_models",
        "_read_text",
        "_routing_text",
        "_small_window",
        "_unmarked",
        "_worth_escalating",
        "decider",
        "guards",
    )

    def __init__(
        self,
        decider: Decider,
        *,
        routing_text: RoutingText | TextReader,
        worth_escalating: Callable[[BaseException], bool],
        escalate_filtered: bool,
        guards: Guards,
        models: BackingModels,
        is_watched: bool = False,
    ) -> None:
        self.decider = decider
        self._models = models
        self._is_watched = is_watched
        self._escalate_filtered = escalate_filtered
        self.guards = guards
        self._read_text = routing_text if callable(routing_text) else None
        self._routing_text: RoutingText = "auto" if callable(routing_text) else routing_text
        self._small_window = decider.policy.small_window
        self._worth_escalating = worth_escalating
        self._unmarked = frozenset(
            route for route, model in models.models.items() if refuses_marks(model)
        )
        self._history, self._dated = None, _NO_EXPERTS
        caching = decider.policy.caching
        if caching is not None and caching.cached_experts:
            self._history = HistoryReader(caching, past_answer)
            # A time on an answer would keep a cache of whole answers from ever finding the next.
            if not any(model.cache for model in models.models.values()):
                self._dated = caching.cached_experts

    def turn(self, model_input: LanguageModelInput, *, tools: bool) -> Turn:
        """Return what the policy has to know of a call's input."""
        messages = read_messages(model_input)
        turn = read_turn(
            messages,
            _VIEW,
            routing_text=self._routing_text,
            tools=tools,
            small_window=self._small_window,
            history=self._history,
        )
        if self._read_text is None:
            return turn
        text = self._read_text(messages)
        if not isinstance(text, str):
            raise PromptError(
                f"The `routing_text` function must return a string, got {type(text).__name__}."
            )
        return replace(turn, text=text)

    @property
    def reads(self) -> bool:
        """Whether several models may be asked, so that a call's input is kept."""
        return self.decider.strategy is not None or self.guards.shadow is not None

    def overrides(self, config: RunnableConfig, arguments: Mapping[str, Any]) -> Overrides:
        """Return what the call's config and its arguments change of the policy."""
        experts = self.decider.policy.experts
        return Overrides.of(
            config.get("configurable", {}),
            routes=experts.names,
            own_effort=experts.differs_by_effort and says_effort(arguments),
        )

    def call(
        self,
        decision: Decision,
        turn: Turn,
        config: RunnableConfig,
        started_s: float,
        *,
        asked: Asked | None = None,
        target: Target | None = None,
        kind: type[Call] = Call,
    ) -> Call:
        """Return the call that follows from a decision.

        Parameters
        ----------
        decision
            Where the call goes first.
        turn
            What was decided about.
        config
            The caller's, complete.
        started_s
            When deciding began, on the clock of `time.perf_counter`.
        asked
            The input, for verifiers and other models; None where `reads` is false.
        target
            As for `Beside`.
        kind
            The call's class.
        """
        guards = self.guards
        attempts = guards.begin(
            decision,
            decider=self.decider,
            worth_escalating=self._worth_escalating,
            text=turn.text,
            started_s=started_s,
        )
        usage = None
        if guards.monitor is not None or guards.budget is not None:
            usage = UsageReader()
        latency_ms = (perf_counter() - started_s) * 1000.0
        call = kind(
            attempts,
            config,
            latency_ms,
            usage,
            escalate_filtered=self._escalate_filtered,
            is_watched=self._is_watched,
        )
        call.unmarked = self._unmarked
        if self._dated and get_llm_cache() is None:
            call.dated = self._dated
        if asked is not None and attempts.step is not None:
            call.drafting = Drafting(asked, turn.text, self._models)
        if asked is not None and target is not None and attempts.shadow is not None:
            if isinstance(asked.model_input, list):  # its caller may add to it
                asked = asked._replace(model_input=list(asked.model_input))
            call.beside = Beside(asked, turn.text, target)
        return call
