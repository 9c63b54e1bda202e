"""One call on its way to its answer: how answers are read, what they carry, what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.answers import finish_reason_of, holds_words, says_something
from llamaindex_routellm.asking import SigningGate, aasking, asking
from llamaindex_routellm.beside import asked_beside
from llamaindex_routellm.directed import DirectedCall
from llamaindex_routellm.drafts import (
    Whole,
    answer_read,
    delta_of,
    joined,
    messages_of,
    prompt_read,
)
from llamaindex_routellm.events import with_held
from llamaindex_routellm.messages import ChatView, tool_call_ids
from llamaindex_routellm.records import stamped
from llamaindex_routellm.usage import UsageReader, usage_of
from routellm_core import ConfigurationError, EmptyAnswerError
from routellm_core.plan import ChunkGate, OtherAnswer, RoutedCall, adrive, drive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from routellm_core import Attempts, Usage
    from routellm_core.answers import Answer, Prompt, Request, Token

__all__ = ["Call"]

T = TypeVar("T")


class Call(DirectedCall):
    """Follow one decision to its answer, through an escalation if it comes to that.

    See `DirectedCall` for its parameters.
    """

    __slots__ = ()

    def branch(self, attempts: Attempts) -> Call:
        """Return a call beside this one, to ask another expert at the same time."""
        branch = Call(
            self._routed,
            attempts.decision,
            asked=self._asked,
            started_s=self._started_s,
            conversation=self._conversation,
            wanted=self._wanted,
        )
        RoutedCall.__init__(branch, attempts, escalate_filtered=self.escalate_filtered)
        branch._is_begun = branch._is_branch = True
        branch._usage = None if self._usage is None else UsageReader()
        branch._is_counted = self._is_counted
        branch._drafts = self._drafts
        branch.has_own_effort = self.has_own_effort
        return branch

    # How to read what it says

    def holds(self, answer: Any) -> tuple[bool, str | None]:
        """Return whether a whole answer says something, and its finish reason."""
        if isinstance(answer, Whole):
            return holds_words(answer.answer, finish_reason=answer.finish_reason), None
        return holds_words(answer), finish_reason_of(answer)

    def check(self, answer: Any) -> None:
        """Refuse a whole answer that is unusable, while another model may give one.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        if self._held is not None:
            self._drafts.append((answer, self._held))
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
        if not self._is_counted:
            return None
        said = self.last if answer is None else answer
        found = usage_of(said.answer if isinstance(said, Whole) else said)
        return found if found is not None or self._usage is None else self._usage.usage

    def starts_again(self) -> None:
        """Forget the attempt before."""
        self._tags = self._held = None
        if self._usage is not None:
            self._usage.forget()

    # What verifiers read

    def prompt(self) -> Prompt:
        """Return what was asked."""
        return prompt_read(
            self._wanted,
            text=self._asked.turn.text,
            win_rate=self.decision.win_rate,
            conversation=self._conversation,
            llm=self._routed,
        )

    def answer_of(self, answer: Any) -> Answer:
        """Return a whole answer as verifiers read it."""
        return answer_read(answer)

    def merged(self, chunks: Sequence[Any]) -> Whole:
        """Return the whole answer that chunks make up."""
        return joined(chunks)._replace(finish_reason=self.end_reason(chunks))

    def delta(self, chunk: Any) -> tuple[str, Sequence[Token]]:
        """Return the text and the tokens that a chunk adds."""
        verifier = self.verifier
        return delta_of(
            chunk, with_tokens=verifier is not None and verifier.top_logprobs is not None
        )

    def ask_verifier(self, request: Request) -> Answer:
        """Ask the model that wrote the draft, or the one that a verifier was made with.

        Raises
        ------
        ConfigurationError
            If that is neither an `LLM` nor the name of an expert.
        """
        models, model = self._routed._backings(), request.model
        if model is None:
            model = self.backing
        elif isinstance(model, str):
            model = models.get(model)
        if not isinstance(model, LLM):
            raise ConfigurationError(
                f"A verifier asks for the model {request.model!r}. Pass a LlamaIndex `LLM`, the "
                f"name of an expert, one of {list(models)}, or a function that asks the model."
            )
        settings = {
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "top_logprobs": request.top_logprobs,
            "logprobs": None if request.top_logprobs is None else True,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        token = active_instrument_tags.set(self.tags())
        try:
            model, _ = with_held(model, self._routed.callback_manager)
            reply = model.chat(messages_of(request.messages), **self.kept(given))
            return replace(answer_read(reply), usage=usage_of(reply))
        finally:
            active_instrument_tags.reset(token)

    def ask_other(self, expert: str, /, *, timeout_s: float) -> OtherAnswer:  # noqa: ARG002
        """Ask another model, unseen by handlers; its own client's timeout holds."""
        other = Call(
            self._routed,
            replace(self.decision, route=expert),
            asked=self._asked,
            started_s=self._started_s,
            conversation=self._conversation,
            wanted=self._wanted,
        )
        return asked_beside(other, self._conversation, self._wanted, dict(self.settings))

    # What becomes of it

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to try again on the new `route` after `wait_s`."""
        held = self._held
        if held is not None and not isinstance(error, EmptyAnswerError):
            held.release()  # a failure is no draft
        return super().failed(error)

    def has_instead(self, error: BaseException) -> bool:
        """Return whether `instead` is given out although no other model is tried after an error."""
        found = super().has_instead(error)
        if found and not self._is_branch:
            self._show(self.instead)
        return found

    def succeeded(self, answer: Any = None) -> None:
        """Report that the answer is complete."""
        super().succeeded(answer)
        self._settle_drafts()

    def close(self, answer: Any = None) -> None:
        """Report that nobody waits for the rest; nothing when the outcome is known."""
        super().close(answer)
        self._settle_drafts()

    def _settle_drafts(self) -> None:
        """Tell the callback handlers of the draft that is the answer, and of no other."""
        if self._is_branch or not self._drafts:
            return
        if self.attempts.given is not None:
            self._show(self.given_answer)
        for _, held in self._drafts:
            held.drop()
        self._drafts.clear()

    def _show(self, answer: Any) -> None:
        """Give the held events of an answer to the callback handlers."""
        for draft, held in self._drafts:
            if draft is answer:
                held.release()

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
