"""Which chunks of a stream may be given out yet."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from routellm_core.plan.steps import Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from routellm_core.answers.verifier import Score, Watch
    from routellm_core.plan.calls import RoutedCall

__all__ = ["ChunkGate"]

logger = logging.getLogger(__name__)

C = TypeVar("C")


class ChunkGate(Generic[C]):
    """Hold a stream's beginning back while another model could still take over.

    A filtered answer that begins and ends in one chunk is refused where that is set.

    Parameters
    ----------
    call
        Told when content passes.
    """

    __slots__ = ("_watch", "call", "held", "is_open", "is_whole", "score")

    def __init__(self, call: RoutedCall[Any, C]) -> None:
        self.call = call
        self.held: list[C] = []
        """The chunks that were not given out, in order."""
        self.is_open = False
        """Whether every further chunk may pass."""
        self.is_whole = False
        """Whether all of the stream is held back."""
        self.score: Score | None = None
        """Of an answer that was rejected before its end."""
        self._watch: Watch | None = None

    @classmethod
    def whole(cls, call: RoutedCall[Any, C]) -> ChunkGate[C]:
        """Return the gate for a stream that is held back until its whole answer is accepted."""
        gate = call.gate()
        gate.is_whole = True
        step, verifier = call.attempts.step, call.verifier
        if verifier is not None and isinstance(step, Ask) and step.accept <= 1.0:
            with gate._watching():
                gate._watch = verifier.watch(call.prompt(), accept=step.accept)
        return gate

    def admit(self, chunk: C) -> list[C]:
        """Return the chunks that may be given out now, in order."""
        call = self.call
        self.held.append(chunk)
        if call.waits_for_content:
            if not call.has_content(chunk):
                return []
            if call.escalate_filtered:
                call.check_end(said=True, finish_reason=call.end_reason(self.held))
        return self.release()

    def hold(self, chunk: C) -> bool:
        """Hold a chunk back; return whether the answer is rejected already."""
        self.held.append(chunk)
        if self._watch is not None:
            text, tokens = self.call.delta(chunk)
            with self._watching():
                self.score = self._watch.feed(text, tokens)
        return self.score is not None

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Watch no longer where the verifier fails at it: it gets the whole answer to score."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the model is not to blame
            self._watch = None
            logger.warning("A verifier failed with %s at a stream.", type(error).__name__)

    def end(self) -> list[C]:
        """Return what was held back of a stream that is over and said nothing.

        Raises
        ------
        EmptyAnswerError
            If another model may still say something.
        """
        self.call.check(self)
        return self.release()

    def release(self) -> list[C]:
        """Commit to this attempt; return what was held back."""
        self.call.commit()
        self.is_open = True
        held, self.held = self.held, []
        return self.call.signed_chunks(held) if held else held

    def rest(self, chunks: Iterator[C]) -> Iterator[C]:
        """Return what remains of the stream, as it is given out."""
        return chunks

    def arest(self, chunks: AsyncIterator[C]) -> AsyncIterator[C]:
        """Return what remains of the stream, as it is given out."""
        return chunks
