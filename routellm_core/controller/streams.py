"""Streams of a routed answer, which begin when the first content is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core._litellm import quiet_litellm
from routellm_core.errors import EmptyAnswerError
from routellm_core.policy import holds_answer, unusable_answer, unusable_answer_error
from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from typing_extensions import Self

    from routellm_core.plan import Attempts

__all__ = ["AsyncRoutedStream", "RoutedStream", "check_answer", "usage_of"]


class RoutedStream:
    """Iterate over an answer's chunks, as LiteLLM makes them.

    Parameters
    ----------
    held
        The chunks up to the first content.
    rest
        The others.
    attempts
        Says where the answer comes from, and is told how it ends.
    """

    def __init__(self, held: list[Any], rest: Iterator[Any], attempts: Attempts) -> None:
        self.decision = attempts.decision
        self._held = held
        self._rest = rest
        self._attempts = attempts
        self._usage: Usage | None = None

    @classmethod
    def open(cls, chunks: Any, attempts: Attempts, *, escalate_filtered: bool = False) -> Self:
        """Read up to the first content; whatever fails here may be tried elsewhere.

        Raises
        ------
        EmptyAnswerError
            If the stream ends before it.
        """
        iterator = iter(chunks)
        held: list[Any] = []
        for chunk in iterator:
            held.append(chunk)
            if _has_content(chunk):
                attempts.commit()
                return cls(held, iterator, attempts)
        _check_end(held, attempts, escalate_filtered=escalate_filtered)
        return cls(held, iterator, attempts)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._held:
            return self._held.pop(0)
        try:
            with quiet_litellm():
                chunk = next(self._rest)
        except StopIteration:
            self._attempts.succeeded(self._usage)
            raise
        except BaseException as error:
            self._attempts.failed(error, self._usage)
            raise
        self._usage = usage_of(chunk) or self._usage
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the answer early."""
        self._held = []
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()
        self._attempts.close(self._usage)


class AsyncRoutedStream:
    """Iterate over an answer's chunks asynchronously; see `RoutedStream`."""

    def __init__(self, held: list[Any], rest: AsyncIterator[Any], attempts: Attempts) -> None:
        self.decision = attempts.decision
        self._held = held
        self._rest = rest
        self._attempts = attempts
        self._usage: Usage | None = None

    @classmethod
    async def open(
        cls, chunks: Any, attempts: Attempts, *, escalate_filtered: bool = False
    ) -> Self:
        """Read up to the first content, as `RoutedStream.open` does."""
        iterator: AsyncIterator[Any] = chunks.__aiter__()
        held: list[Any] = []
        async for chunk in iterator:
            held.append(chunk)
            if _has_content(chunk):
                attempts.commit()
                return cls(held, iterator, attempts)
        _check_end(held, attempts, escalate_filtered=escalate_filtered)
        return cls(held, iterator, attempts)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._held:
            return self._held.pop(0)
        try:
            with quiet_litellm():
                chunk = await self._rest.__anext__()
        except StopAsyncIteration:
            self._attempts.succeeded(self._usage)
            raise
        except BaseException as error:
            self._attempts.failed(error, self._usage)
            raise
        self._usage = usage_of(chunk) or self._usage
        return chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the answer early."""
        self._held = []
        close = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()
        self._attempts.close(self._usage)


def check_answer(answer: Any, attempts: Attempts, *, escalate_filtered: bool) -> None:
    """Refuse an answer without a message, and one that another model should give.

    Raises
    ------
    EmptyAnswerError
        If it is refused.
    """
    model = attempts.decision.model
    if not answer.choices:
        raise EmptyAnswerError(f"Model {model!r} answered without a message.")
    why = unusable_answer(
        has_content=any(holds_answer(choice.message.model_dump()) for choice in answer.choices),
        finish_reason=answer.choices[0].finish_reason,
        escalate_filtered=escalate_filtered,
    )
    if why is not None and attempts.may_escalate:
        raise unusable_answer_error(model, why)


def usage_of(answer: Any) -> Usage | None:
    """Return the tokens that an answer or a chunk counts, and its model; None without a count."""
    counts = getattr(answer, "usage", None)
    read, written = (getattr(counts, name, None) for name in ("prompt_tokens", "completion_tokens"))
    # LiteLLM counts 0 and 0 where the provider counted nothing.
    if not (isinstance(read, int) and isinstance(written, int) and read + written > 0):
        return None
    model = getattr(answer, "model", None)
    return Usage(read, written, model if isinstance(model, str) else None)


def _has_content(chunk: Any) -> bool:
    """Return whether a chunk says more than who speaks, or why it stopped."""
    for choice in chunk.choices:
        said = choice.delta.model_dump(exclude_none=True)
        if any(value for name, value in said.items() if name != "role"):
            return True
    return False


def _check_end(held: list[Any], attempts: Attempts, *, escalate_filtered: bool) -> None:
    """Refuse a stream without content where another model may have some, or without an end.

    LiteLLM puts an end to streams that have none, so that the two cannot be told apart.

    Raises
    ------
    EmptyAnswerError
        If it is refused.
    """
    reasons = [choice.finish_reason for chunk in held for choice in chunk.choices]
    reason = next((reason for reason in reversed(reasons) if reason), None)
    why = unusable_answer(
        has_content=False, finish_reason=reason, escalate_filtered=escalate_filtered
    )
    if reason is None or (why is not None and attempts.may_escalate):
        raise unusable_answer_error(attempts.decision.model, why or "empty")
    attempts.commit()
