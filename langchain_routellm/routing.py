"""One call's way from its input to its answer: what is read, decided, sent and stamped.

Nothing here calls a model. The entry points in `dispatch`, `batching` and `events` do, sync and
async, and share these steps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig

from langchain_routellm.messages import (
    LangChainView,
    finish_reason_of,
    has_content,
    holds_words,
    read_messages,
    said_of,
    stamped,
)
from langchain_routellm.usage import UsageReader
from langchain_routellm.watching import TokenWatch, shows_tokens, with_handler
from routellm_core import (
    Attempts,
    Decider,
    Decision,
    EmptyAnswerError,
    Guards,
    Overrides,
    PromptError,
    RoutingText,
    Turn,
    Usage,
    read_turn,
    unusable_answer,
    unusable_answer_error,
)

__all__ = ["Call", "ChunkGate", "Routing", "TextReader"]

TextReader: TypeAlias = Callable[[Sequence[BaseMessage]], str]
"""A user's own choice of the text that is routed."""

T = TypeVar("T")

_VIEW = LangChainView()
_NO_CHUNKS = "No generation chunks were returned"
"""All that LangChain says when a stream ends before it began."""


class Call:
    """Follow one call: which route is next, under which config, and what its answer carries.

    Parameters
    ----------
    attempts
        Holds the decision, and may turn it into an escalation.
    config
        The caller's, complete.
    latency_ms
        How long the decision took.
    usage
        Collects what the answer used; None when nobody asks.
    escalate_filtered
        Whether a filtered answer is unusable.
    is_watched
        Whether callbacks of the models show their tokens.
    """

    __slots__ = (
        "_attempts",
        "_config",
        "_escalate_filtered",
        "_is_watched",
        "_latency_ms",
        "_tried",
        "_unusable",
        "_usage",
    )

    def __init__(
        self,
        attempts: Attempts,
        config: RunnableConfig,
        latency_ms: float,
        usage: UsageReader | None = None,
        *,
        escalate_filtered: bool = False,
        is_watched: bool = False,
    ) -> None:
        self._escalate_filtered = escalate_filtered
        self._is_watched = is_watched
        self._unusable: BaseException | None = None
        self._usage = usage
        self._attempts = attempts
        self._config = config
        self._latency_ms = latency_ms
        self._tried = False

    @property
    def route(self) -> str:
        """The route of the current attempt."""
        return self._attempts.decision.route

    @property
    def decision(self) -> Decision:
        """The decision behind the current attempt."""
        return self._attempts.decision

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another attempt."""
        return self._attempts.may_escalate

    def commit(self) -> None:
        """Note that content reached the caller."""
        self._attempts.commit()

    def config(self) -> RunnableConfig:
        """Return the caller's config with the decision in its metadata and tags."""
        decision = self._attempts.decision
        config = self._config.copy()
        config["metadata"] = {
            **config.get("metadata", {}),
            **decision.metadata(),
            "routellm_latency_ms": self._latency_ms,
        }
        config["tags"] = [*config.get("tags", ()), f"routellm:{decision.route}"]
        callbacks = config.get("callbacks")
        if self._attempts.may_escalate and (self._is_watched or shows_tokens(callbacks)):
            callbacks = with_handler(callbacks, TokenWatch(self.commit))
        if self._usage is not None:
            callbacks = with_handler(callbacks, self._usage)
        if callbacks is not None:
            config["callbacks"] = callbacks
        if self._tried:
            # The first attempt's run has it already.
            config.pop("run_id", None)
        return config

    @property
    def wait_s(self) -> float:
        """Seconds to wait before the next attempt."""
        return self._attempts.wait_s

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to try again on the new `route`."""
        if not self._attempts.failed(_fault(error), self._used()):
            return False
        self._tried = True
        if self._usage is not None:
            self._usage.forget()
        return True

    async def within(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, or its first chunk, as long as this attempt may take."""
        return await self._attempts.within(answer)

    def succeeded(self) -> None:
        """Report that the answer is complete."""
        self._attempts.succeeded(self._used())

    def _used(self) -> Usage | None:
        return None if self._usage is None else self._usage.usage

    def note_usage(self, answer: ChatResult) -> None:
        """Count the tokens of an answer that no run reports."""
        if self._usage is not None:
            self._usage.note(answer.generations)

    def check(self, answer: Any) -> None:
        """Refuse a whole answer that is unusable, while another model may give one.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        if not self._attempts.may_escalate:
            return
        if not self._escalate_filtered and holds_words(answer):
            return  # nearly always, and in a tenth of the time
        said, finish_reason = said_of(answer)
        self.check_end(said=said, finish_reason=finish_reason)

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
            escalate_filtered=self._escalate_filtered,
        )
        if why is not None and self._attempts.may_escalate:
            self._unusable = unusable_answer_error(self._attempts.decision.model, why)
            raise self._unusable

    def gives_up(self, error: BaseException) -> bool:
        """Return whether an error only says that the answer is unusable, which then is the answer.

        To be asked when no other model is tried.
        """
        return error is self._unusable

    def stamped(self, answer: Any) -> Any:
        """Return the answer with this call's record, on a copy."""
        return stamped(answer, self._attempts.decision.record())

    def gate(self) -> ChunkGate:
        """Return the gate for the current attempt's stream."""
        return ChunkGate(self)


def _fault(error: BaseException) -> BaseException:
    """Return the error; in place of LangChain's for a stream without chunks, one with a class."""
    if type(error) is ValueError and error.args == (_NO_CHUNKS,):
        empty = EmptyAnswerError(f"{_NO_CHUNKS}.")
        empty.__cause__ = error
        return empty
    return error


class ChunkGate:
    """Hold a stream's empty beginning back while another model could still take over.

    The first chunk that is let through carries the record, and no other: records on several would
    be merged into nonsense.

    Parameters
    ----------
    call
        Told when content passes.
    """

    __slots__ = ("_call", "_held", "is_open")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._held: list[Any] = []
        self.is_open = False
        """Whether every further chunk may pass as it is."""

    def admit(self, chunk: Any) -> list[Any]:
        """Return the chunks that may be handed out now, in order."""
        self._held.append(chunk)
        if self._call.may_escalate and not has_content(chunk):
            return []
        return self.release()

    def end(self) -> list[Any]:
        """Return what was held back of a stream that is over and said nothing.

        Raises
        ------
        EmptyAnswerError
            If another model may still say something.
        """
        self._call.check_end(said=False, finish_reason=finish_reason_of(self._held))
        return self.release()

    def release(self) -> list[Any]:
        """Commit to this attempt; return what was held back."""
        self._call.commit()
        self.is_open = True
        if not self._held:
            return []
        first, *others = self._held
        return [self._call.stamped(first), *others]


class Routing:
    """Decide calls for one pair of models.

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
        Retries, breakers, budget and monitor.
    is_watched
        Whether callbacks of the models show their tokens.
    """

    __slots__ = (
        "_escalate_filtered",
        "_is_watched",
        "_read_text",
        "_routing_text",
        "_small_window",
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
        is_watched: bool = False,
    ) -> None:
        self.decider = decider
        self._is_watched = is_watched
        self._escalate_filtered = escalate_filtered
        self.guards = guards
        self._read_text = routing_text if callable(routing_text) else None
        self._routing_text: RoutingText = "last_user" if callable(routing_text) else routing_text
        self._small_window = decider.policy.small_window
        self._worth_escalating = worth_escalating

    def turn(self, model_input: LanguageModelInput, *, tools: bool) -> Turn:
        """Return what the policy has to know of a call's input."""
        messages = read_messages(model_input)
        turn = read_turn(
            messages,
            _VIEW,
            routing_text=self._routing_text,
            tools=tools,
            small_window=self._small_window,
        )
        if self._read_text is None:
            return turn
        text = self._read_text(messages)
        if not isinstance(text, str):
            raise PromptError(
                f"The `routing_text` function must return a string, got {type(text).__name__}."
            )
        return replace(turn, text=text)

    def overrides(self, config: RunnableConfig) -> Overrides:
        """Return what the call's config changes of the policy."""
        return Overrides.of(config.get("configurable", {}))

    def call(
        self, decision: Decision, turn: Turn, config: RunnableConfig, started_s: float
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
        return Call(
            attempts,
            config,
            latency_ms,
            usage,
            escalate_filtered=self._escalate_filtered,
            is_watched=self._is_watched,
        )
