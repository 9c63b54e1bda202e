"""One call on its way to a model: who is asked, in what words, and what the answer carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.answers import finish_reason_of, holds_words, says_something
from llamaindex_routellm.asking import SigningGate, aasking, asking
from llamaindex_routellm.backing import with_handlers
from llamaindex_routellm.history import adapted, dialect_of
from llamaindex_routellm.messages import ChatView, tool_call_ids
from llamaindex_routellm.records import stamped
from llamaindex_routellm.usage import UsageReader, usage_of
from routellm_core import EmptyAnswerError
from routellm_core.plan import ChunkGate, RoutedCall, adrive, drive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners, Words
    from llamaindex_routellm.metadata import PairFacts
    from llamaindex_routellm.origins import Origins
    from routellm_core import Decider, Decision, Guards, Turn, Usage

__all__ = ["Asked", "Call", "RoutedModel"]

T = TypeVar("T")


class Asked(NamedTuple):
    """Be what a decision is about.

    Parameters
    ----------
    turn
        What the policy has to know.
    names_question
        Whether the text is a question that an engine's prompt named: then the answer may be
        another question, asked for the same user.
    """

    turn: Turn
    names_question: bool = False


class RoutedModel(Protocol):
    """What a call has to know of the model that routes it."""

    callback_manager: CallbackManager
    rate_limiter: Any

    @property
    def escalate_filtered(self) -> bool:
        """Whether a filtered answer is unusable."""
        ...

    @property
    def drop_params(self) -> Mapping[str, Sequence[str]]:
        """Arguments that a model does not take, by route."""
        ...

    @property
    def strong(self) -> LLM:
        """The strong model."""
        ...

    @property
    def weak(self) -> LLM:
        """The weak model."""
        ...

    def _facts(self) -> PairFacts: ...

    def _owners(self) -> Owners: ...

    def _origins(self) -> Origins: ...

    def _worth_escalating(self) -> Callable[[BaseException], bool]: ...

    def _decider(self) -> Decider: ...

    def _guards(self) -> Guards: ...


class Call(RoutedCall[Any, Any]):
    """Follow one decision to its answer, through an escalation if it comes to that.

    A call may never be begun: where LlamaIndex's own code takes over, it only lends its decision to
    the calls that are made there.

    Parameters
    ----------
    routed
        The model that was called.
    decision
        Where the call goes first.
    asked
        What was decided about.
    started_s
        When deciding began, on the clock of `time.perf_counter`.
    conversation
        The messages that were sent, for knowing later whose tool calls the answer made.
    """

    __slots__ = (
        "_asked",
        "_conversation",
        "_decision",
        "_is_begun",
        "_routed",
        "_started_s",
        "_tags",
        "_usage",
        "last",
    )

    def __init__(
        self,
        routed: RoutedModel,
        decision: Decision,
        *,
        asked: Asked,
        started_s: float,
        conversation: Sequence[ChatMessage | Words] = (),
    ) -> None:
        self._routed = routed
        self._conversation = conversation
        self._decision = decision
        self._asked = asked
        self._started_s = started_s
        self._is_begun = False
        self._usage: UsageReader | None = None
        self._tags = _tags(decision)
        self.last: object = None
        """The last chunk that was given out."""

    def begin(self) -> Call:
        """Start to follow the call, before a model is first asked; return it.

        Raises
        ------
        BudgetExceededError, CircuitOpenError
            If no model may be asked.
        """
        if not self._is_begun:
            routed, decision = self._routed, self._decision
            guards = routed._guards()
            attempts = guards.begin(
                decision,
                decider=routed._decider(),
                worth_escalating=routed._worth_escalating(),
                text=self._asked.turn.text,
                started_s=self._started_s,
            )
            super().__init__(attempts, escalate_filtered=routed.escalate_filtered)
            self._is_begun = True
            if guards.monitor is not None or guards.budget is not None:
                self._usage = UsageReader()
            if attempts.decision is not decision:
                self._tags = _tags(attempts.decision)
        return self

    @property
    def decision(self) -> Decision:
        """Where the call goes now."""
        return self.attempts.decision if self._is_begun else self._decision

    @property
    def route(self) -> str:
        """The expert that is asked now."""
        return self.decision.route

    # Whom to ask, and in what words

    @property
    def backing(self) -> LLM:
        """The model that is asked now, as the user passed it."""
        return self._routed.strong if self.route == "strong" else self._routed.weak

    @property
    def target(self) -> LLM:
        """The model that is asked now, with the handlers of the routing one."""
        manager = self._routed.callback_manager
        if self._usage is not None:
            manager = self._usage.added_to(manager)
        return with_handlers(self.backing, manager)

    @property
    def takes_tools(self) -> bool:
        """Whether the model that is asked now takes tools."""
        return self._routed._facts().said[self.decision.route].is_function_calling_model

    def kept(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return a call's settings without those that the model that is asked now does not take."""
        dropped = self._routed.drop_params.get(self.route)
        if not dropped:
            return settings
        return {name: value for name, value in settings.items() if name not in dropped}

    def adapted(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Return a new list of the messages in the dialect of the model that is asked now."""
        return adapted(
            messages,
            dialect_of(self.backing),
            system_role=self._routed._facts().system_roles.get(self.route),
            wrote=self._wrote,
        )

    def _wrote(self, index: int) -> bool | None:
        """Return whether a model of the asked one's class wrote a message; None if not known.

        Where one of the pair writes arguments as JSON, a message that nobody remembers may be its.
        """
        routed = self._routed
        view = ChatView(self._conversation[: index + 1], routed._owners())
        record = view.record(self._conversation[index])
        if record is not None:
            writer = routed.strong if record["route"] == "strong" else routed.weak
            if dialect_of(writer) != "any":
                return type(writer) is type(self.backing)
        pair = (dialect_of(routed.strong), dialect_of(routed.weak))
        return False if "openai" in pair and dialect_of(self.backing) != "openai" else None

    def tags(self) -> dict[str, Any]:
        """Return the instrument tags for the model's events: the caller's, and the decision."""
        return {**active_instrument_tags.get(), **self._tags}

    def wait(self) -> None:
        """Wait for the rate limit before an attempt."""
        limiter = self._routed.rate_limiter
        if limiter is not None:
            limiter.acquire()

    async def asked(self, ask: Callable[[Call], Awaitable[T]]) -> T:
        """Wait for the rate limit, then ask within this attempt's time."""
        limiter = self._routed.rate_limiter
        if limiter is not None:
            await limiter.async_acquire()
        return await super().asked(ask)

    # How to read what it says

    def holds(self, answer: Any) -> tuple[bool, str | None]:
        """Return whether a whole answer says something, and its finish reason."""
        return holds_words(answer), finish_reason_of(answer)

    def check(self, answer: Any) -> None:
        """Refuse a whole answer that is unusable, while another model may give one.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        if self.escalate_filtered or isinstance(answer, ChunkGate) or not holds_words(answer):
            super().check(answer)

    def has_content(self, chunk: Any) -> bool:
        """Return whether a chunk holds words, thoughts, a tool call or an object."""
        return says_something(chunk)

    def end_reason(self, chunks: Sequence[Any]) -> str | None:
        """Return the last reason that any of the chunks gives."""
        reasons = (finish_reason_of(chunk) for chunk in reversed(chunks))
        return next((reason for reason in reasons if reason), None)

    def check_end(self, *, said: bool, finish_reason: str | None) -> None:
        """Refuse an unusable answer, if that is worth another model.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        try:
            super().check_end(said=said, finish_reason=finish_reason)
        except EmptyAnswerError as error:
            if self._routed._worth_escalating()(error):
                raise

    def used(self, answer: object = None) -> Usage | None:
        """Return what the current attempt used; None when nobody counts."""
        if self._usage is None:
            return None
        return usage_of(self.last if answer is None else answer) or self._usage.usage

    def starts_again(self) -> None:
        """Forget what the attempt before used."""
        self._tags = _tags(self.decision)
        if self._usage is not None:
            self._usage.forget()

    # What becomes of it

    def run(self, send: Callable[[Call], T]) -> T:
        """Return what the model that is asked returns."""
        answer: T = drive(self.begin(), asking(send))
        self.remember(answer)
        return answer

    async def arun(self, send: Callable[[Call], Awaitable[T]]) -> T:
        """Return what the model that is asked returns."""
        answer: T = await adrive(self.begin(), aasking(send))
        self.remember(answer)
        return answer

    def answer(self, send: Callable[[Call], T]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(self.run(send))

    async def aanswer(self, send: Callable[[Call], Awaitable[T]]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(await self.arun(send))

    def signed(self, answer: T) -> T:
        """Return a copy of a response that carries the decision."""
        return stamped(answer, self.decision.record())

    def signed_chunks(self, chunks: list[Any]) -> list[Any]:
        """Return copies of chunks that carry the decision."""
        record = self.decision.record()
        self.last = chunks[-1]
        return [stamped(chunk, record) for chunk in chunks]

    def gate(self) -> ChunkGate[Any]:
        """Return the gate for the current attempt's stream."""
        return SigningGate(self)

    def remember(self, answer: object) -> None:
        """Note what the next calls of this turn will need to know.

        Whose tool calls these are, so that the same model gets their results; and which questions
        the model wrote, so that they are decided as the user's own words were.
        """
        if isinstance(answer, ChatResponse):
            identities = list(tool_call_ids(answer.message))
            if identities:
                words = ChatView(self._conversation).user_text()
                for identity in identities:
                    self._routed._owners().put((words, identity), self.decision.record())
        asked = self._asked
        if asked.turn.text:
            self._routed._origins().note(
                answer, words=asked.turn.text, is_question=asked.names_question
            )


def _tags(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in decision.metadata().items() if value is not None}
