"""One call as the drivers see it: what an adapter supplies, and what all adapters share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from routellm_core.plan.gate import ChunkGate
from routellm_core.plan.steps import AskAll
from routellm_core.policy.answers import unusable_answer, unusable_answer_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from routellm_core.answers import Answer, Ask, Prompt, Token
    from routellm_core.answers.verifier import Verifier
    from routellm_core.plan.attempts import Attempts
    from routellm_core.plan.shadow_settings import AskOther
    from routellm_core.types import Decision, Usage

__all__ = ["RoutedCall"]

A = TypeVar("A")
C = TypeVar("C")
T = TypeVar("T")
Self = TypeVar("Self", bound="RoutedCall[Any, Any]")


class RoutedCall(Generic[A, C]):
    """Follow one call: an adapter says how to read answers (A) and chunks (C), nothing else.

    An adapter's subclass reads what its framework's answers hold. It may leave out what it does
    not need: `answer_of` and `prompt` serve verifiers, `merged` streams that are held back,
    `delta` verifiers that reject while an answer is written.

    Parameters
    ----------
    attempts
        The call's state.
    escalate_filtered
        Whether a filtered answer is unusable.
    """

    __slots__ = ("_refused", "_unusable", "attempts", "escalate_filtered")

    ask_verifier: Ask | None = None
    """Asks a model for a verifier that was made without one; it may be asynchronous."""

    ask_other: AskOther | None = None
    """Asks another expert what this call asked, in the background; None where nobody can."""

    def __init__(self, attempts: Attempts, *, escalate_filtered: bool = False) -> None:
        self.attempts = attempts
        self.escalate_filtered = escalate_filtered
        self._unusable: BaseException | None = None
        self._refused: Any = None

    # What an adapter supplies

    @abstractmethod
    def holds(self, answer: A) -> tuple[bool, str | None]:
        """Return whether a whole answer says something, and its finish reason."""

    @abstractmethod
    def has_content(self, chunk: C) -> bool:
        """Return whether a chunk shows the caller something; see `shows_something`."""

    @abstractmethod
    def end_reason(self, chunks: Sequence[C]) -> str | None:
        """Return why a stream ended, in its provider's words."""

    def signed(self, answer: A) -> A:
        """Return a whole answer with this call's record."""
        return answer

    def signed_chunks(self, chunks: list[C]) -> list[C]:
        """Return the first chunks that are given out, with this call's record."""
        return chunks

    def prompt(self) -> Prompt:
        """Return what was asked, for verifiers."""
        raise NotImplementedError(f"{type(self).__name__} has no `prompt` for verifiers.")

    def answer_of(self, answer: A) -> Answer:
        """Return a whole answer as verifiers read it."""
        raise NotImplementedError(f"{type(self).__name__} has no `answer_of` for verifiers.")

    def merged(self, chunks: Sequence[C]) -> A:
        """Return the whole answer that chunks make up."""
        raise NotImplementedError(f"{type(self).__name__} has no `merged` for verifiers.")

    def delta(self, chunk: C) -> tuple[str, Sequence[Token]]:  # noqa: ARG002
        """Return the text and the tokens that a chunk adds."""
        return "", ()

    def ends(self, chunk: C) -> bool:  # noqa: ARG002
        """Return whether a chunk is a stream's last, so that its reader may ask for no more."""
        return False

    def used(self, answer: A | None = None) -> Usage | None:  # noqa: ARG002
        """Return what the current attempt used; None when nobody counts."""
        return None

    def starts_again(self) -> None:
        """Prepare for another attempt."""

    def branch(self: Self, attempts: Attempts) -> Self:
        """Return a call beside this one, to ask another expert at the same time."""
        raise NotImplementedError(f"{type(self).__name__} cannot ask several experts at once.")

    # What all share

    @property
    def decision(self) -> Decision:
        """Where the call goes now."""
        return self.attempts.decision

    @property
    def route(self) -> str:
        """The expert that is asked now."""
        return self.attempts.decision.route

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another model."""
        return self.attempts.may_escalate

    @property
    def waits_for_content(self) -> bool:
        """Whether a stream's chunks are held back until one of them says something."""
        return self.may_escalate

    @property
    def wait_s(self) -> float:
        """Seconds to wait before the next attempt."""
        return self.attempts.wait_s

    @property
    def verifier(self) -> Verifier | None:
        """What scores this attempt's whole answer before it is given out."""
        return self.attempts.verifier

    @property
    def holds_back(self) -> bool:
        """Whether a stream's chunks are held back until its whole answer is accepted."""
        attempts = self.attempts
        if attempts.step is None:
            return False
        return attempts.verifier is not None or isinstance(attempts.step, AskAll)

    @property
    def given_answer(self) -> Any:
        """The draft that is the answer, once one is."""
        return self.attempts.given.answer

    def commit(self) -> None:
        """Note that content reached the caller."""
        self.attempts.commit()

    def within(self, answer: Awaitable[T]) -> Awaitable[T]:
        """Wait for an answer, or for its first content, as long as this attempt may take."""
        return self.attempts.within(answer)

    def asked(self: Self, ask: Callable[[Self], Awaitable[T]]) -> Awaitable[T]:
        """Ask, as long as this attempt may take; what must come before it takes none of that."""
        return self.attempts.within(ask(self))

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to try again on the new `route` after `wait_s`."""
        if isinstance(error, GeneratorExit):  # the caller left: no model failed
            self.close()
            return False
        again = self.attempts.failed(self.fault(error), self.used())
        if again:
            self.starts_again()
        return again

    def fault(self, error: BaseException) -> BaseException:
        """Return the error; in place of one that says too little, another with it as the cause."""
        return error

    def has_instead(self, error: BaseException) -> bool:
        """Return whether `instead` is given out although no other model is tried after an error."""
        if self.attempts.given is not None:
            self.succeeded()
            return True
        return error is self._unusable

    @property
    def instead(self) -> Any:
        """The best draft where there is one, or the answer that was refused as unusable."""
        return self._refused if self.attempts.given is None else self.given_answer

    def succeeded(self, answer: Any = None) -> None:
        """Report that the answer is complete."""
        whole = None if isinstance(answer, ChunkGate) else answer
        attempts = self.attempts
        attempts.succeeded(self.used(whole))
        if attempts.shadow is not None:
            if whole is None and attempts.given is not None:
                whole = self.given_answer
            if whole is not None and not isinstance(whole, ChunkGate):
                attempts.shadow.take(self, whole)

    def close(self, answer: A | None = None) -> None:
        """Report that nobody waits for the rest; nothing when the outcome is known."""
        self.attempts.close(self.used(answer))

    def check(self, answer: A | ChunkGate[C]) -> None:
        """Refuse a whole answer that is unusable, while another model may give one.

        Parameters
        ----------
        answer
            Or the gate of a stream that is over.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        if self.may_escalate:
            self._refused = answer
            if not (isinstance(answer, ChunkGate) and answer.score is not None):
                said, reason = self._read(answer)
                self.check_end(said=said, finish_reason=reason)

    def is_usable(self, answer: A | ChunkGate[C]) -> bool:
        """Return whether an answer, or a stream that was held back, says something."""
        said, reason = self._read(answer)
        return not unusable_answer(
            has_content=said, finish_reason=reason, escalate_filtered=self.escalate_filtered
        )

    def _read(self, answer: A | ChunkGate[C]) -> tuple[bool, str | None]:
        if not isinstance(answer, ChunkGate):
            return self.holds(answer)
        said = any(map(self.has_content, answer.held))
        if said and answer.is_whole:  # nobody saw its thoughts, which are no answer
            said, _ = self.holds(self.merged(answer.held))
        return said, self.end_reason(answer.held)

    def check_end(self, *, said: bool, finish_reason: str | None) -> None:
        """Refuse an answer by what is known of it at its end, while another model may give one.

        Parameters
        ----------
        said
            Whether it holds an answer.
        finish_reason
            In the provider's words.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        why = unusable_answer(
            has_content=said,
            finish_reason=finish_reason,
            escalate_filtered=self.escalate_filtered,
        )
        if why is not None and self.may_escalate:
            self._unusable = unusable_answer_error(self.attempts.decision.model, why)
            raise self._unusable

    def gate(self) -> ChunkGate[C]:
        """Return the gate for the current attempt's stream."""
        return ChunkGate(self)
