"""Decide where a call goes: from messages or prompts to a `Call`, once for all endpoints."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llamaindex_routellm.calls import Call
from llamaindex_routellm.directed import WORDS, Asked
from llamaindex_routellm.drafts import Wanted
from llamaindex_routellm.history import dialect_of
from llamaindex_routellm.messages import ChatView, Words
from llamaindex_routellm.pinning import pinned_decision
from llamaindex_routellm.prompts import question_in, read_prompt, selected
from routellm_core import Decision, Overrides, Turn, is_follow_up, read_turn, request_in
from routellm_core.experts import sets_effort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llama_index.core.llms import LLM
    from llama_index.core.prompts import BasePromptTemplate

    from llamaindex_routellm.messages import Owners
    from llamaindex_routellm.metadata import ExpertFacts
    from llamaindex_routellm.origins import Origins
    from llamaindex_routellm.variants import Efforts
    from routellm_core import Decider, Guards, HistoryReader, RoutingText, Usage

    Base = FunctionCallingLLM
else:
    # Only for the type checker: LlamaIndex would open a span around every method that overrides
    # one of a parent's, and the model that answers opens its own.
    Base = object

__all__ = ["DECISION_KEY", "Base", "Opening", "PreparedDecision"]

DECISION_KEY = "routellm_decision"
"""Carries a `PreparedDecision` from `_prepare_chat_with_tools` to the call that it prepared."""


class PreparedDecision(NamedTuple):
    """Where a prepared chat goes, and where the routed model behind that route sends it."""

    decision: Decision
    inner: PreparedDecision | None = None


_NOTHING = Asked(Turn(""))
"""Asked where a decision was made before."""

_OVERRIDES = ("routellm_route", "routellm_threshold")
_ONE_MESSAGE = ("auto", "last_user")
"""The values of `routing_text` with which one message is routed, or the question in it."""


class Opening(Base):
    """Open calls; `RoutedLLM` says with which models and which router."""

    if TYPE_CHECKING:

        @property
        def routing_text(self) -> RoutingText | Callable[[Sequence[ChatMessage]], str]:
            """Which text is routed."""

        @property
        def escalate_filtered(self) -> bool:
            """Whether a filtered answer is unusable."""

        @property
        def drop_params(self) -> Mapping[str, Sequence[str]]:
            """Arguments that a model does not take, by expert."""

        def _backings(self) -> Mapping[str, LLM]: ...
        def _efforts(self) -> Efforts: ...
        def _facts(self) -> ExpertFacts: ...
        def _owners(self) -> Owners: ...
        def _origins(self) -> Origins: ...
        def _history(self, decider: Decider) -> HistoryReader | None: ...
        def _prompt_noter(
            self, messages: Sequence[ChatMessage | Words]
        ) -> Callable[[str, str, Usage | None], None] | None: ...
        def _worth_escalating(self) -> Callable[[BaseException], bool]: ...
        def _guards(self) -> Guards: ...
        def _decider(self) -> Decider: ...
        async def _adecider(self) -> Decider: ...

    def _open_chat(
        self,
        messages: Sequence[ChatMessage | Words],
        settings: dict[str, Any],
        *,
        tools: Sequence[Any] = (),
    ) -> Call:
        """Decide for messages; what `settings` says about routing is taken out of it."""
        started_s, asked = perf_counter(), _NOTHING
        prepared: PreparedDecision | None = settings.get(DECISION_KEY)
        own_effort = self._says_effort(settings)
        overrides, decision = self._taken(settings, own_effort=own_effort)
        if decision is None:
            decider = self._decider()
            asked = self._read_chat(messages, decider, tools=bool(tools))
            decision = decider.decide(asked.turn, overrides)
        call = Call(
            self,
            decision,
            asked=asked,
            started_s=started_s,
            conversation=messages,
            wanted=_wanted(tools, settings),
        )
        call.has_own_effort = own_effort
        return self._opened(call, prepared, settings)

    async def _aopen_chat(
        self,
        messages: Sequence[ChatMessage | Words],
        settings: dict[str, Any],
        *,
        tools: Sequence[Any] = (),
    ) -> Call:
        """Decide as `_open_chat` does, without blocking the event loop."""
        started_s, asked = perf_counter(), _NOTHING
        prepared: PreparedDecision | None = settings.get(DECISION_KEY)
        own_effort = self._says_effort(settings)
        overrides, decision = self._taken(settings, own_effort=own_effort)
        if decision is None:
            decider = await self._adecider()
            asked = self._read_chat(messages, decider, tools=bool(tools))
            decision = await decider.adecide(asked.turn, overrides)
        call = Call(
            self,
            decision,
            asked=asked,
            started_s=started_s,
            conversation=messages,
            wanted=_wanted(tools, settings),
        )
        call.has_own_effort = own_effort
        return self._opened(call, prepared, settings)

    def _open_prompt(
        self,
        prompt: BasePromptTemplate,
        arguments: dict[str, Any],
        settings: Mapping[str, Any] | None = None,
        *,
        schema: Any = None,
    ) -> Call:
        """Decide for a prompt; what `arguments` says about routing is taken out of it.

        The `settings` go to the model.
        """
        started_s, asked = perf_counter(), _NOTHING
        own_effort = self._says_effort(settings or {})
        overrides, decision = self._taken(arguments, own_effort=own_effort)
        if decision is None:
            decider = self._decider()
            asked = self._read_prompt(prompt, arguments, decider)
            decision = decider.decide(asked.turn, overrides)
        wanted = Wanted(schema, template=prompt, values=arguments)
        call = Call(self, decision, asked=asked, started_s=started_s, wanted=wanted)
        call.has_own_effort = own_effort
        return call

    async def _aopen_prompt(
        self,
        prompt: BasePromptTemplate,
        arguments: dict[str, Any],
        settings: Mapping[str, Any] | None = None,
        *,
        schema: Any = None,
    ) -> Call:
        """Decide as `_open_prompt` does, without blocking the event loop."""
        started_s, asked = perf_counter(), _NOTHING
        own_effort = self._says_effort(settings or {})
        overrides, decision = self._taken(arguments, own_effort=own_effort)
        if decision is None:
            decider = await self._adecider()
            asked = self._read_prompt(prompt, arguments, decider)
            decision = await decider.adecide(asked.turn, overrides)
        wanted = Wanted(schema, template=prompt, values=arguments)
        call = Call(self, decision, asked=asked, started_s=started_s, wanted=wanted)
        call.has_own_effort = own_effort
        return call

    def _opened(
        self, call: Call, prepared: PreparedDecision | None, settings: dict[str, Any]
    ) -> Call:
        call.settings = settings
        nested = DECISION_KEY in settings
        if nested or (prepared and len(set(map(dialect_of, self._backings().values()))) > 1):
            # The request is already in the words of one model, and the others have their own.
            call.bind()
        if nested and prepared and call.decision.route != prepared.decision.route:
            # A breaker or a budget sends the call to the model that knows nothing of it.
            del settings[DECISION_KEY]
        return call

    def _says_effort(self, settings: Mapping[str, Any]) -> bool:
        """Return whether a call says how much to think, where its model says so, too."""
        return bool(self._efforts().open_models) and sets_effort(settings)

    def _taken(
        self, settings: dict[str, Any], *, own_effort: bool = False
    ) -> tuple[Overrides, Decision | None]:
        """Take the overrides out of a call's settings, and a decision that was made before."""
        overrides = Overrides.of(
            settings,
            routes=tuple(self._backings()),
            own_effort=own_effort and self._efforts().is_all,
        )
        for name in _OVERRIDES:
            settings.pop(name, None)
        prepared: PreparedDecision | None = settings.pop(DECISION_KEY, None)
        if prepared is None:
            return overrides, pinned_decision(self)
        if prepared.inner is not None:
            settings[DECISION_KEY] = prepared.inner
        return overrides, prepared.decision

    def _read_chat(
        self,
        messages: Sequence[ChatMessage | Words],
        decider: Decider,
        *,
        tools: bool = False,
        question: str | None = None,
    ) -> Asked:
        routing_text = self.routing_text
        by_name: RoutingText = routing_text if isinstance(routing_text, str) else "auto"
        questions: set[str] = set()
        # The last message is read first: what is known to be asked there need not be found.
        known = [] if question is None else [question]

        def request_of(text: str) -> str:
            question = question_in(text) or (known.pop() if known else None)
            if question is None:
                return request_in(text)
            words = self._words(question)
            questions.add(words)
            return words

        turn = read_turn(
            messages,
            ChatView(messages, self._owners()),
            routing_text=by_name,
            tools=tools,
            small_window=decider.policy.small_window,
            request_of=request_of,
            history=self._history(decider) if len(messages) > 2 else None,
        )
        if callable(routing_text):
            text = routing_text([_message(message) for message in messages])
            return Asked(replace(turn, text=text))
        if by_name == "auto":
            return Asked(turn, names_question=turn.text in questions)
        question = question_in(turn.text) if by_name == "last_user" else None
        return Asked(turn) if question is None else self._named(question, turn)

    def _read_prompt(
        self, prompt: BasePromptTemplate, arguments: Mapping[str, Any], decider: Decider
    ) -> Asked:
        read = None
        if self.routing_text in _ONE_MESSAGE:
            read = read_prompt(prompt, arguments, self)
            if read is not None and not self._continues(read.question):
                return self._named(read.question, self._read_chat(read.parts, decider).turn)
        messages = selected(prompt, self).format_messages(llm=self, **arguments)
        # What a question continues may stand in the template's own messages.
        asked = self._read_chat(messages, decider, question=read and read.question)
        return asked if read is None else Asked(asked.turn, names_question=True)

    def _named(self, question: str, turn: Turn) -> Asked:
        """Return what is asked when an engine's prompt names its question: a user's words."""
        words = self._words(question)
        turn = turn if turn.text == words else replace(turn, text=words)
        return Asked(turn, names_question=True)

    def _continues(self, question: str) -> bool:
        return self.routing_text == "auto" and is_follow_up(self._words(question))

    def _words(self, question: str) -> str:
        """Return what is routed of a question: a user's words, if they say something."""
        words = self._origins().words_behind(question)
        # A model wrote out what "and why?" asks: that says more than the user's words.
        return question if self.routing_text == "auto" and is_follow_up(words) else words


def _wanted(tools: Sequence[Any], settings: Mapping[str, Any]) -> Wanted:
    """Return what a chat asks for besides words."""
    described = tools or settings.get("tools") or ()
    if not described:
        return WORDS
    choice = settings.get("tool_choice")
    if choice is None and settings.get("tool_required"):
        choice = "required"
    return Wanted(tools=described, tool_choice=choice)


def _message(message: ChatMessage | Words) -> ChatMessage:
    if isinstance(message, Words):
        return ChatMessage(role=message.speaker, content=message.words)
    return message
