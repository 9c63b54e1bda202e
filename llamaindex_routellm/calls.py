"""One call on its way to a model: who is asked, in what words, and what the answer carries."""

from __future__ import annotations

import asyncio
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.answers import finish_reason_of, unusable_reason
from llamaindex_routellm.backing import with_handlers
from llamaindex_routellm.history import adapted, dialect_of
from llamaindex_routellm.messages import ChatView, tool_call_ids
from llamaindex_routellm.records import stamped
from llamaindex_routellm.usage import UsageReader, usage_of
from routellm_core import unusable_answer, unusable_answer_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners, Words
    from llamaindex_routellm.metadata import PairFacts
    from llamaindex_routellm.origins import Origins
    from routellm_core import Attempts, Decider, Decision, EmptyAnswerError, Guards, Turn, Usage

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


class Call:
    """Follow one decision to its answer, through an escalation if it comes to that.

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
        "_begun",
        "_conversation",
        "_decision",
        "_routed",
        "_started_s",
        "_tags",
        "_usage",
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
        self._begun: Attempts | None = None
        self._usage: UsageReader | None = None
        self._tags = _tags(decision)

    @property
    def _attempts(self) -> Attempts:
        """The machine that follows the call, which begins when a model is first asked.

        A call may never get so far: where LlamaIndex's own code takes over it only lends its
        decision to the calls that are made there.
        """
        if self._begun is None:
            guards = self._routed._guards()
            self._begun = guards.begin(
                self._decision,
                decider=self._routed._decider(),
                worth_escalating=self._routed._worth_escalating(),
                text=self._asked.turn.text,
                started_s=self._started_s,
            )
            if guards.monitor is not None or guards.budget is not None:
                self._usage = UsageReader()
            self._tags = _tags(self._begun.decision)
        return self._begun

    @property
    def decision(self) -> Decision:
        """Where the call goes now."""
        return self._decision if self._begun is None else self._begun.decision

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to the strong model."""
        return self._attempts.may_escalate

    @property
    def backing(self) -> LLM:
        """The model that is asked now, as the user passed it."""
        return self._routed.strong if self.decision.route == "strong" else self._routed.weak

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
        dropped = self._routed.drop_params.get(self.decision.route)
        if not dropped:
            return settings
        return {name: value for name, value in settings.items() if name not in dropped}

    def adapted(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Return a new list of the messages in the dialect of the model that is asked now."""
        return adapted(
            messages,
            dialect_of(self.backing),
            system_role=self._routed._facts().system_roles.get(self.decision.route),
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

    @property
    def wait_s(self) -> float:
        """Seconds to wait before the next attempt."""
        return self._attempts.wait_s

    def commit(self) -> None:
        """Note that content reached the caller: from here on every error is final."""
        self._attempts.commit()

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to ask the model that `target` now is."""
        again = self._attempts.failed(error, self._used(None))
        if again:
            self._tags = _tags(self.decision)
            if self._usage is not None:
                self._usage.forget()
        return again

    def tags(self) -> dict[str, Any]:
        """Return the instrument tags for the model's events: the caller's, and the decision."""
        return {**active_instrument_tags.get(), **self._tags}

    def run(self, send: Callable[[LLM], T]) -> T:
        """Return what the model that is asked returns."""
        attempts = self._attempts
        while True:
            limiter = self._routed.rate_limiter
            if limiter is not None:
                limiter.acquire()
            token = active_instrument_tags.set(self.tags())
            try:
                answer = send(self.target)
            except BaseException as error:  # `failed` knows what is worth another attempt
                if not self.failed(error):
                    raise
            else:
                if not self._refuses(answer):
                    return answer
            finally:
                active_instrument_tags.reset(token)
            sleep(attempts.wait_s)

    async def arun(self, send: Callable[[LLM], Awaitable[T]]) -> T:
        """Return what the model that is asked returns."""
        attempts = self._attempts
        while True:
            limiter = self._routed.rate_limiter
            if limiter is not None:
                await limiter.async_acquire()
            token = active_instrument_tags.set(self.tags())
            try:
                answer = await self.within(send(self.target))
            except BaseException as error:  # `failed` knows what is worth another attempt
                if not self.failed(error):
                    raise
            else:
                if not self._refuses(answer):
                    return answer
            finally:
                active_instrument_tags.reset(token)
            await asyncio.sleep(attempts.wait_s)

    def _refuses(self, answer: object) -> bool:
        """Return whether a whole answer is unusable, and another model is asked instead."""
        if not self.may_escalate:
            return False
        error = self._refusal(unusable_reason(answer, self._routed.escalate_filtered))
        return error is not None and self.failed(error)

    def refusal(self, chunks: Sequence[object]) -> EmptyAnswerError | None:
        """Return the error for a stream that ended without content.

        Parameters
        ----------
        chunks
            All of the stream, in order.

        Returns
        -------
        None when the stream is the answer: its content was filtered, or no other model is asked
        for an unusable answer.
        """
        reasons = (finish_reason_of(chunk) for chunk in reversed(chunks))
        why = unusable_answer(
            has_content=False,
            finish_reason=next((reason for reason in reasons if reason), None),
            escalate_filtered=self._routed.escalate_filtered,
        )
        return self._refusal(why)

    def _refusal(self, why: str | None) -> EmptyAnswerError | None:
        if why is None:
            return None
        error = unusable_answer_error(self.decision.model, why)
        return error if self._routed._worth_escalating()(error) else None

    async def within(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, or its first chunk, as long as this attempt may take."""
        return await self._attempts.within(answer)

    def succeeded(self, answer: object = None) -> None:
        """Report that the answer is complete."""
        self._attempts.succeeded(self._used(answer))

    def close(self, answer: object = None) -> None:
        """Report that nobody waits for the rest of an answer; nothing if it is complete."""
        self._attempts.close(self._used(answer))

    def _used(self, answer: object) -> Usage | None:
        return None if self._usage is None else usage_of(answer) or self._usage.usage

    def answer(self, send: Callable[[LLM], T]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(self.run(send))

    async def aanswer(self, send: Callable[[LLM], Awaitable[T]]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(await self.arun(send))

    def signed(self, response: T) -> T:
        """Report a complete response; return a copy of it that carries the decision."""
        return stamped(self.finished(response), self.decision.record())

    def finished(self, answer: T) -> T:
        """Report a complete answer, and return it."""
        self.succeeded(answer)
        self.remember(answer)
        return answer

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
