"""One call on its way to a model: who is asked, in what words, and what the answer carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.backing import with_handlers
from llamaindex_routellm.copies import shallow_copy
from llamaindex_routellm.history import adapted, dialect_of
from llamaindex_routellm.messages import ChatView, tool_call_ids
from llamaindex_routellm.metadata import model_name
from routellm_core import RECORD_KEY, Attempts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners, Words
    from llamaindex_routellm.metadata import PairFacts
    from routellm_core import Decision

__all__ = ["Call", "RoutedModel", "record_of"]

T = TypeVar("T")


class RoutedModel(Protocol):
    """What a call has to know of the model that routes it."""

    callback_manager: CallbackManager
    rate_limiter: Any

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

    def _worth_escalating(self) -> Callable[[BaseException], bool]: ...


class Call:
    """Follow one decision to its answer, through an escalation if it comes to that.

    Parameters
    ----------
    routed
        The model that was called.
    decision
        Where the call goes first.
    conversation
        The messages that were sent, for knowing later whose tool calls the answer made.
    """

    __slots__ = ("_attempts", "_conversation", "_routed", "_tags")

    def __init__(
        self,
        routed: RoutedModel,
        decision: Decision,
        *,
        conversation: Sequence[ChatMessage | Words] = (),
    ) -> None:
        self._routed = routed
        self._conversation = conversation
        self._attempts = Attempts(
            decision,
            strong_model=model_name(routed.strong),
            worth_escalating=routed._worth_escalating(),
        )
        self._tags = _tags(decision)

    @property
    def decision(self) -> Decision:
        """Where the call goes now."""
        return self._attempts.decision

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
        return with_handlers(self.backing, self._routed.callback_manager)

    def adapted(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Return a new list of the messages in the dialect of the model that is asked now."""
        return adapted(
            messages,
            dialect_of(self.backing),
            system_role=self._routed._facts().system_roles.get(self.decision.route),
        )

    def commit(self) -> None:
        """Note that content reached the caller: from here on every error is final."""
        self._attempts.commit()

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to ask the model that `target` now is."""
        again = self._attempts.failed(error)
        if again:
            self._tags = _tags(self.decision)
        return again

    def tags(self) -> dict[str, Any]:
        """Return the instrument tags for the model's events: the caller's, and the decision."""
        return {**active_instrument_tags.get(), **self._tags}

    def run(self, send: Callable[[LLM], T]) -> T:
        """Return what the model that is asked returns."""
        while True:
            limiter = self._routed.rate_limiter
            if limiter is not None:
                limiter.acquire()
            token = active_instrument_tags.set(self.tags())
            try:
                return send(self.target)
            except Exception as error:
                if not self.failed(error):
                    raise
            finally:
                active_instrument_tags.reset(token)

    async def arun(self, send: Callable[[LLM], Awaitable[T]]) -> T:
        """Return what the model that is asked returns."""
        while True:
            limiter = self._routed.rate_limiter
            if limiter is not None:
                await limiter.async_acquire()
            token = active_instrument_tags.set(self.tags())
            try:
                return await send(self.target)
            except Exception as error:
                if not self.failed(error):
                    raise
            finally:
                active_instrument_tags.reset(token)

    def answer(self, send: Callable[[LLM], T]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(self.run(send))

    async def aanswer(self, send: Callable[[LLM], Awaitable[T]]) -> T:
        """Return the model's response with the decision on it."""
        return self.signed(await self.arun(send))

    def signed(self, response: T) -> T:
        """Return a copy of a response that carries the decision."""
        self.remember(response)
        return stamped(response, self.decision.record())

    def remember(self, response: object) -> None:
        """Note whose tool calls these are, so that the same model gets their results."""
        if isinstance(response, ChatResponse):
            identities = list(tool_call_ids(response.message))
            if identities:
                words = ChatView(self._conversation).user_text()
                for identity in identities:
                    self._routed._owners().put((words, identity), self.decision.record())


def stamped(response: T, record: Any) -> T:
    """Return a copy of a response that carries a record; anything else as it is."""
    if isinstance(response, (ChatResponse, CompletionResponse)):
        carried = {**(response.additional_kwargs or {}), RECORD_KEY: record}
        return shallow_copy(response, additional_kwargs=carried)
    return response


def record_of(response: ChatResponse) -> dict[str, Any] | None:
    """Return the record that a response carries, unchecked."""
    record = (response.additional_kwargs or {}).get(RECORD_KEY)
    return record if isinstance(record, dict) else None


def _tags(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in decision.metadata().items() if value is not None}
