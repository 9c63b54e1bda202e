"""One routed call over LiteLLM: how its answers and chunks are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core._litellm import quiet_litellm
from routellm_core.controller.conversion import completion_of
from routellm_core.controller.reading import logprob_fields, read_answer, read_delta, read_prompt
from routellm_core.errors import EmptyAnswerError
from routellm_core.monitoring.token_counts import look_up, read_usage
from routellm_core.plan import RoutedCall
from routellm_core.policy import holds_answer, shows_something, unusable_answer_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from routellm_core.answers import Answer, Prompt, Token
    from routellm_core.controller.calls import Call
    from routellm_core.plan import Attempts
    from routellm_core.types import Usage

__all__ = ["LiteLLMCall", "unseen", "usage_of"]

DRAFT_TAG = "routellm:draft"
"""What tells a draft's call from the answer's in traces."""

_END: Any = object()
_DETAILS = "completion_tokens_details"
_FOR_SOMEBODY = ("stream", "stream_options", "metadata", "callbacks", "logger_fn", "n")
"""Arguments of a call that serve its caller, and not its answer."""


class LiteLLMCall(RoutedCall[Any, Any]):
    """Follow one call of the Controller.

    Parameters
    ----------
    attempts
        The call's state.
    call
        What was asked.
    escalate_filtered
        Whether a filtered answer is unusable.
    is_branch
        Whether others are asked at the same time.
    """

    __slots__ = (
        "_finish_reason", "_has_begun", "_is_branch", "_usage", "ask_other", "ask_verifier", "call",
    )  # fmt: skip

    def __init__(
        self,
        attempts: Attempts,
        call: Call,
        *,
        escalate_filtered: bool = False,
        is_branch: bool = False,
    ) -> None:
        super().__init__(attempts, escalate_filtered=escalate_filtered)
        self.call = call
        self.ask_verifier = None
        self.ask_other = None
        self._is_branch = is_branch
        self.starts_again()

    @property
    def is_draft(self) -> bool:
        """Whether the answer that is asked for may be rejected."""
        return self._is_branch or self.attempts.verifier is not None

    @property
    def waits_for_content(self) -> bool:
        """Whether a beginning is held back: always, so that a stream can tell its decision."""
        return True

    def drafted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request with a draft's tag, and with what its verifier reads."""
        metadata = request.get("metadata") or {}
        tags = [*(metadata.get("tags") or ()), DRAFT_TAG]
        verifier = self.attempts.verifier
        more = {} if verifier is None else logprob_fields(verifier.top_logprobs)
        return {**request, **more, "metadata": {**metadata, "tags": tags}}

    def holds(self, answer: Any) -> tuple[bool, str | None]:
        """Return whether an answer says something, and its finish reason."""
        told = answer if isinstance(answer, dict) else answer.model_dump()
        reasons = [choice.get("finish_reason") for choice in told["choices"]]
        said = any(
            holds_answer(choice["message"], finish_reason=reason)
            for choice, reason in zip(told["choices"], reasons, strict=True)
        )
        return said, reasons[0]

    def has_content(self, chunk: Any) -> bool:
        """Return whether a chunk says more than who speaks, or why it stopped."""
        for choice in chunk.choices:
            said = choice.delta.model_dump(exclude_none=True)
            if any(shows_something(value) for name, value in said.items() if name != "role"):
                self._has_begun = True
                return True
        return False

    def end_reason(self, chunks: Sequence[Any]) -> str | None:  # noqa: ARG002
        """Return why this attempt's stream ended."""
        return self._finish_reason

    def prompt(self) -> Prompt:
        """Return what was asked."""
        asked = self.call
        win_rate = self.decision.win_rate
        return read_prompt(asked.request, text=asked.turn.text, win_rate=win_rate)

    def answer_of(self, answer: Any) -> Answer:
        """Return a whole answer as verifiers read it."""
        return read_answer(answer if isinstance(answer, dict) else answer.model_dump())

    def merged(self, chunks: Sequence[Any]) -> Any:
        """Return the `chat.completion` that chunks make up, as a mapping."""
        return completion_of([chunk.model_dump(exclude_none=True) for chunk in chunks])

    def delta(self, chunk: Any) -> tuple[str, Sequence[Token]]:
        """Return the text and the tokens that a chunk adds."""
        return read_delta(chunk.model_dump(exclude_none=True))

    def branch(self, attempts: Attempts) -> LiteLLMCall:
        """Return a call beside this one."""
        return LiteLLMCall(
            attempts, self.call, escalate_filtered=self.escalate_filtered, is_branch=True
        )

    def used(self, answer: Any = None) -> Usage | None:
        """Return the tokens that an answer, or this attempt's stream, counts."""
        return self._usage if answer is None else usage_of(answer)

    def starts_again(self) -> None:
        """Forget what the last attempt's stream told."""
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._has_begun = False

    def answered(self, answer: Any) -> Any:
        """Return a whole answer.

        Raises
        ------
        EmptyAnswerError
            If it holds no message.
        """
        if not answer.choices:
            raise EmptyAnswerError(f"Model {self.decision.model!r} answered without a message.")
        return answer

    def read(self, chunks: Any) -> Iterator[Any]:
        """Yield a stream's chunks; close it at the end.

        Raises
        ------
        EmptyAnswerError
            If it ends without content and without an end.
        """
        try:
            iterator = iter(chunks)
            while True:
                with quiet_litellm():
                    chunk = next(iterator, _END)
                if chunk is _END:
                    break
                self._note(chunk)
                yield chunk
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        self._check_end()

    async def aread(self, chunks: Any) -> AsyncIterator[Any]:
        """Yield a stream's chunks as `read` does."""
        try:
            iterator = chunks.__aiter__()
            while True:
                try:
                    with quiet_litellm():
                        chunk = await iterator.__anext__()
                except StopAsyncIteration:
                    break
                self._note(chunk)
                yield chunk
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
        self._check_end()

    def _note(self, chunk: Any) -> None:
        self._usage = usage_of(chunk) or self._usage
        for choice in chunk.choices:
            self._finish_reason = choice.finish_reason or self._finish_reason

    def _check_end(self) -> None:
        # LiteLLM puts an end to streams that have none, so that the two cannot be told apart.
        if not self._has_begun and self._finish_reason is None:
            raise unusable_answer_error(self.decision.model, "empty")


def unseen(request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """Return a request without what serves its caller only, for an answer that nobody waits for."""
    fields = {name: value for name, value in request.items() if name not in _FOR_SOMEBODY}
    return {**fields, "timeout": timeout_s, "num_retries": 0, "max_retries": 0}


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens that an answer or a chunk counts, and its model; None without a count."""
    model = look_up(answer, "model")
    usage = read_usage(look_up(answer, "usage"), model=model if isinstance(model, str) else None)
    # LiteLLM counts 0 and 0 where the provider counted nothing.
    return usage if usage is not None and (usage.input_tokens or usage.output_tokens) else None
