"""One call of a routed model: its config, how its answers and chunks are read, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig

from langchain_routellm.messages import (
    finish_reason_of,
    has_content,
    holds_words,
    said_of,
    stamped,
)
from langchain_routellm.usage import UsageReader
from langchain_routellm.watching import TokenWatch, shows_tokens, with_handler
from routellm_core import Attempts, EmptyAnswerError, Usage
from routellm_core.plan import RoutedCall

__all__ = ["Call"]

_NO_CHUNKS = "No generation chunks were returned"
"""All that LangChain says when a stream ends before it began."""


class Call(RoutedCall[Any, Any]):
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

    __slots__ = ("_config", "_is_watched", "_latency_ms", "_tried", "_usage")

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
        super().__init__(attempts, escalate_filtered=escalate_filtered)
        self._is_watched = is_watched
        self._usage = usage
        self._config = config
        self._latency_ms = latency_ms
        self._tried = False

    def config(self) -> RunnableConfig:
        """Return the caller's config with the decision in its metadata and tags."""
        decision = self.attempts.decision
        config = self._config.copy()
        config["metadata"] = {
            **config.get("metadata", {}),
            **decision.metadata(),
            "routellm_latency_ms": self._latency_ms,
        }
        config["tags"] = [*config.get("tags", ()), f"routellm:{decision.route}"]
        callbacks = config.get("callbacks")
        if self.attempts.may_escalate and (self._is_watched or shows_tokens(callbacks)):
            callbacks = with_handler(callbacks, TokenWatch(self.commit))
        if self._usage is not None:
            callbacks = with_handler(callbacks, self._usage)
        if callbacks is not None:
            config["callbacks"] = callbacks
        if self._tried:
            # The first attempt's run has it already.
            config.pop("run_id", None)
        return config

    def starts_again(self) -> None:
        """Forget what the attempt before used, and that the caller's run ID is free."""
        self._tried = True
        if self._usage is not None:
            self._usage.forget()

    def fault(self, error: BaseException) -> BaseException:
        """Return the error; in place of LangChain's for a stream without chunks, one of a class."""
        if type(error) is ValueError and error.args == (_NO_CHUNKS,):
            empty = EmptyAnswerError(f"{_NO_CHUNKS}.")
            empty.__cause__ = error
            return empty
        return error

    def used(self, answer: Any = None) -> Usage | None:  # noqa: ARG002 - the runs have said it
        """Return what the runs of the current attempt used; None when nobody counts."""
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
        if self.escalate_filtered or not holds_words(answer):  # words in a tenth of the time
            super().check(answer)

    def holds(self, answer: Any) -> tuple[bool, str | None]:
        """Return whether a whole answer says something, and its finish reason."""
        return said_of(answer)

    def has_content(self, chunk: Any) -> bool:
        """Return whether a chunk holds words, a tool call, or anything that is no message."""
        return has_content(chunk)

    def end_reason(self, chunks: Sequence[Any]) -> str | None:
        """Return the last finish reason among chunks, in the provider's words."""
        return finish_reason_of(chunks)

    def signed(self, answer: Any) -> Any:
        """Return the answer with this call's record, on a copy."""
        return stamped(answer, self.attempts.decision.record())

    def signed_chunks(self, chunks: list[Any]) -> list[Any]:
        """Return the chunks with the record on the first.

        Records on several would be merged into nonsense.
        """
        return [self.signed(chunks[0]), *chunks[1:]]
