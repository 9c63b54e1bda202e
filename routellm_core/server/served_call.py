"""One routed request: how a model's bytes are read, and when its connection is done with."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from routellm_core.controller.conversion import completion_of
from routellm_core.controller.reading import (
    logprob_fields,
    read_answer,
    read_delta,
    read_prompt,
)
from routellm_core.plan import RoutedCall
from routellm_core.policy import holds_answer
from routellm_core.server.errors import NoAnswerError, UpstreamError
from routellm_core.server.events import (
    DONE,
    StreamProgress,
    adds_blanks,
    begins_answer,
    event,
    event_json,
    usage_of,
)
from routellm_core.server.upstream import ModelCall, Reply
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from routellm_core.answers import Answer, Prompt, Token
    from routellm_core.plan import Attempts
    from routellm_core.policy import Turn
    from routellm_core.server.requests import ChatRequest
    from routellm_core.types import Decision, Usage

__all__ = ["ServedCall", "WholeAnswer"]

_FAREWELL_S = 0.5
_OF_THE_ANSWER = ("stream", "stream_options", "n", "metadata", "store")
"""Fields of a request that serve its client, and not its answer."""


class WholeAnswer(NamedTuple):
    """A whole answer of a model."""

    reply: Reply
    choices: Sequence[Mapping[str, Any]]
    """At least one."""
    headers: Mapping[str, str]
    """Those of the provider's that a client may see."""


class _FirstBlock(bytes):
    """The first events of a stream, with the headers that came before them."""

    headers: Mapping[str, str] = {}


class ServedCall(RoutedCall[WholeAnswer, bytes]):
    """Follow one request; a stream's chunks are blocks of whole events.

    Parameters
    ----------
    attempts
        The call's state.
    request
        What the server reads of the request.
    fields
        What is sent to a model.
    turn
        What is routed.
    headers
        Sent with it.
    counts
        Whether anybody wants to know what an answer used.
    by_name
        Whether the client asked for a model by its name, and gets no other.
    escalate_filtered
        Whether a filtered answer is unusable.
    is_branch
        Whether others are asked at the same time.
    """

    __slots__ = (
        "_begun", "_counts", "_fields", "_has_blanks", "_headers", "_is_branch", "_progress",
        "_turn", "_unended", "ask_other", "ask_verifier", "by_name", "headers", "request",
    )  # fmt: skip

    def __init__(
        self,
        attempts: Attempts,
        request: ChatRequest,
        fields: Mapping[str, Any],
        turn: Turn,
        *,
        headers: Mapping[str, str],
        counts: bool,
        by_name: bool,
        escalate_filtered: bool,
        is_branch: bool = False,
    ) -> None:
        super().__init__(attempts, escalate_filtered=escalate_filtered)
        self.request = request
        self.by_name = by_name
        self.headers: dict[str, str] = {}
        """Those of the stream that is given out, as far as a client may see them."""
        self._fields = {name: value for name, value in fields.items() if name != RECORD_KEY}
        self._turn = turn
        self._headers = headers
        self._counts = counts
        self._is_branch = is_branch
        self.ask_verifier = None
        self.ask_other = None
        self._unended: list[AsyncGenerator[bytes, None]] = []
        self._begun = self._has_blanks = False
        self._progress: StreamProgress | None = None

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another model."""
        return not self.by_name and self.attempts.may_escalate

    @property
    def waits_for_content(self) -> bool:
        """Whether a beginning is held back: always, so that an early error has a status."""
        return True

    def holds(self, answer: WholeAnswer) -> tuple[bool, str | None]:
        """Return whether an answer says something, and its finish reason."""
        said = any(
            holds_answer(choice["message"], finish_reason=choice.get("finish_reason"))
            for choice in answer.choices
            if isinstance(choice.get("message"), dict)
        )
        return said, answer.choices[0].get("finish_reason")

    def has_content(self, chunk: bytes) -> bool:
        """Return whether this attempt's stream says something, up to this block."""
        if not self._begun:
            told = [event_json(raw) for raw in chunk.split(b"\n\n")]
            self._begun = any(map(begins_answer, told))
            self._has_blanks = self._has_blanks or any(map(adds_blanks, told))
        return self._begun

    def end_reason(self, chunks: Sequence[bytes]) -> str | None:  # noqa: ARG002
        """Return why this attempt's stream ended."""
        return None if self._progress is None else self._progress.finish_reason

    def prompt(self) -> Prompt:
        """Return what was asked."""
        win_rate = self.decision.win_rate
        return read_prompt(self._fields, text=self._turn.text, win_rate=win_rate)

    def answer_of(self, answer: WholeAnswer) -> Answer:
        """Return a whole answer as verifiers read it."""
        return read_answer(answer.reply.answer)

    def merged(self, chunks: Sequence[bytes]) -> WholeAnswer:
        """Return the whole answer that blocks make up."""
        told = [event_json(raw) for block in chunks for raw in block.split(b"\n\n")]
        whole = completion_of([chunk for chunk in told if isinstance(chunk, dict)])
        return WholeAnswer(Reply(b"", whole), whole["choices"], {})

    def delta(self, chunk: bytes) -> tuple[str, Sequence[Token]]:
        """Return the text and the tokens that a block adds."""
        told = [event_json(raw) for raw in chunk.split(b"\n\n")]
        deltas = [read_delta(said) for said in told if isinstance(said, dict)]
        tokens = [token for _, added in deltas for token in added]
        return "".join(text for text, _ in deltas), tokens

    def branch(self, attempts: Attempts) -> ServedCall:
        """Return a call beside this one, which tells this one its headers and its streams."""
        beside = ServedCall(
            attempts,
            self.request,
            self._fields,
            self._turn,
            headers=self._headers,
            counts=self._counts,
            by_name=self.by_name,
            escalate_filtered=self.escalate_filtered,
            is_branch=True,
        )
        beside.headers, beside._unended = self.headers, self._unended
        return beside

    def used(self, answer: WholeAnswer | None = None) -> Usage | None:
        """Return what an answer, or this attempt's stream, used."""
        if answer is None:
            return None if self._progress is None else self._progress.usage
        return usage_of(answer.reply.answer) if self._counts else None

    def fault(self, error: BaseException) -> BaseException:
        """Return the error; in place of a timeout, one with a status."""
        if isinstance(error, TimeoutError):
            return UpstreamError(f"The {self.route} model took too long.", status=504)
        return error

    def starts_again(self) -> None:
        """Forget what the last attempt's stream told."""
        self._progress, self._begun, self._has_blanks = None, False, False

    def signed_chunks(self, chunks: list[bytes]) -> list[bytes]:
        """Return the first blocks as one, with the decision where the client asked for it."""
        self.headers.update(getattr(chunks[0], "headers", {}))
        whole = b"".join(chunks) if len(chunks) > 1 else chunks[0]
        wanted = self.request.routellm is not None and self.request.routellm.decision
        return [_with_decision(whole, self.decision) if wanted else whole]

    def sent(self) -> ModelCall:
        """Return what is sent to the model on the call's route."""
        verifier = self.attempts.verifier
        fields = self._fields
        if verifier is not None:
            fields = {**fields, **logprob_fields(verifier.top_logprobs)}
        return ModelCall(fields, self._headers, self._is_branch or verifier is not None)

    def sent_beside(self) -> ModelCall:
        """Return what is sent to another model, in the background."""
        fields = {name: v for name, v in self._fields.items() if name not in _OF_THE_ANSWER}
        return ModelCall({**fields, "stream": False}, is_shadow=True)

    def answered(self, reply: Reply, sent: ModelCall) -> WholeAnswer:
        """Return a whole answer.

        Raises
        ------
        NoAnswerError
            If it has no choices.
        """
        choices = [choice for choice in reply.answer["choices"] if isinstance(choice, dict)]
        if not choices:
            raise NoAnswerError("The model's answer has no choices.")
        return WholeAnswer(reply, choices, sent.answer_headers)

    async def read(
        self, blocks: AsyncGenerator[bytes, None], sent: ModelCall
    ) -> AsyncGenerator[bytes, None]:
        """Yield a stream's blocks up to its end.

        Raises
        ------
        UpstreamError
            If it ends too early, or says that the model failed.
        """
        n_choices = self._fields.get("n")
        progress = StreamProgress(n_choices if isinstance(n_choices, int) else 1)
        self._progress, is_first, is_whole = progress, True, False
        try:
            while not progress.done and (block := await anext(blocks, b"")):
                read = progress.read(block)
                if is_first:
                    read, is_first = _FirstBlock(read), False
                    read.headers = sent.answer_headers
                yield read
            silent = not (self._begun or self._has_blanks)
            if silent and progress.finish_reason is None:
                raise NoAnswerError("The model's stream ended before its first content.")
            if not progress.complete:
                raise UpstreamError("The model's stream ended within its answer.", status=502)
            if not progress.done:
                yield DONE
            is_whole = True
        finally:
            if is_whole:
                self._unended.append(blocks)
            else:
                await blocks.aclose()

    async def farewell(self) -> None:
        """Read whole streams to their end, after which a connection serves the next answer."""
        for blocks in self._unended:
            with suppress(UpstreamError, asyncio.TimeoutError):
                await asyncio.wait_for(anext(blocks, None), _FAREWELL_S)

    async def aclose(self) -> None:
        """Close every stream, and report that nobody waits for the answer any more."""
        for blocks in self._unended:
            await blocks.aclose()
        self.close()


def _with_decision(held: bytes, decision: Decision) -> bytes:
    """Return the events with the decision in the first chunk."""
    events = held.split(b"\n\n")
    for index, raw in enumerate(events):
        chunk = event_json(raw)
        if isinstance(chunk, dict):
            events[index] = event({**chunk, RECORD_KEY: decision.record()}).removesuffix(b"\n\n")
            break
    return b"\n\n".join(events)
