"""`DraftWatch`: rejects a draft while it is being written, without reading from any stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from routellm_core.answers.content import Answer, Token, as_prompt
from routellm_core.answers.refusals import no_refusal
from routellm_core.answers.schemas import schema
from routellm_core.answers.token_fields import read_tokens
from routellm_core.answers.verifier import check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Prompt
    from routellm_core.answers.verifier import Score, Verifier

__all__ = ["DraftWatch", "Rejection"]

_TEXT_PARTS = frozenset({"text", "output_text"})
"""Types of the parts of a message that are read out; reasoning is not among them."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a draft is rejected before its end.

    Parameters
    ----------
    verifier
        Name of the verifier that rejects it.
    score
        Its score, below the level of acceptance.
    n_chars, n_tokens
        How much of the draft was read: characters of text, and tokens that came with their
        log-probabilities.
    """

    verifier: str
    score: Score
    n_chars: int
    n_tokens: int


class DraftWatch:
    """A draft that is being written, and whether it can still be accepted.

    Feed it every chunk as it arrives. At the first rejection close the stream: the rest of the
    draft would be paid for and not used. A draft that comes to its end without a rejection is not
    accepted by that: score it as a whole.

    Parameters
    ----------
    prompt
        What the draft answers.
    verifier
        The verifier that the whole draft would be scored by.
    accept
        The level of acceptance: a draft whose score is at least this high is accepted.
    checks
        What rejects a draft besides, whatever the verifier says: by default an answer that begins
        by refusing and, where the prompt asks for a schema, text of which no valid JSON can come.

    Raises
    ------
    ConfigurationError
        If `accept` is not a finite number, or the prompt is neither a text nor a `Prompt`.

    Notes
    -----
    A refusal and a broken JSON text stay what they are. A running mean of log-probabilities may
    still rise: see `logprob` for the slack that it is given.

    Examples
    --------
    >>> from routellm_core.answers import judge
    >>> watch = DraftWatch("Who won?", judge("a model"), accept=0.5)
    >>> watch.feed("I'm sorry, ") is None
    True
    >>> watch.feed("but I can't help with that.").score.reason
    'a refusal (en)'
    """

    def __init__(
        self,
        prompt: Prompt | str,
        verifier: Verifier,
        *,
        accept: float,
        checks: Sequence[Verifier] | None = None,
    ) -> None:
        prompt = as_prompt(prompt)
        level = check_level(accept)
        if checks is None:
            checks = [no_refusal(), *([schema()] if prompt.schema is not None else [])]
        watched = [(verifier, level)]
        # A check passes or fails. Where everything is accepted, it rejects nothing either.
        watched += [(check, 1.0) for check in checks if level > 0.0]
        self._watches = [
            (each.name, watch)
            for each, wanted in watched
            if (watch := each.watch(prompt, accept=wanted)) is not None
        ]
        self._n_chars = self._n_tokens = 0
        self._rejection: Rejection | None = None

    @property
    def wants_chunks(self) -> bool:
        """Whether a chunk could still lead to a rejection; if not, none has to be fed."""
        return bool(self._watches) and self._rejection is None

    def feed(self, chunk: Any) -> Rejection | None:
        """Read one more chunk.

        Parameters
        ----------
        chunk
            A text; an `Answer` that holds what is new; or a chunk of a stream of OpenAI's shape
            (LiteLLM, vLLM), of LangChain or of LlamaIndex, as an object or as mappings.

        Returns
        -------
        The rejection as soon as there is one, and from then on; None before.
        """
        if not self.wants_chunks:
            return self._rejection
        piece = _piece_of(chunk)
        self._n_chars += len(piece.text)
        self._n_tokens += len(piece.tokens)
        for name, watch in self._watches:
            score = watch.feed(piece.text, piece.tokens)
            if score is not None:
                self._rejection = Rejection(name, score, self._n_chars, self._n_tokens)
                break
        return self._rejection


class _Piece(NamedTuple):
    """What a chunk adds to an answer."""

    text: str
    tokens: tuple[Token, ...]


def _piece_of(chunk: Any) -> _Piece:
    if isinstance(chunk, str):
        return _Piece(chunk, ())
    if isinstance(chunk, Answer):
        return _Piece(chunk.text, chunk.tokens)
    return _Piece(_text_of(chunk), read_tokens(chunk))


def _text_of(chunk: Any) -> str:
    choices = _get(chunk, "choices")
    if choices is not None:  # OpenAI; the last chunk may hold usage and no choice
        first = choices[0] if choices else None
        return _joined(_get(_get(first, "delta"), "content"))
    delta = _get(chunk, "delta")
    if delta is not None:  # LlamaIndex: `delta` is new, and `message` is all so far
        return _joined(delta)
    message = _get(chunk, "message")  # LangChain's generation around a message
    return _joined(_get(chunk if message is None else message, "content"))


def _joined(content: Any) -> str:
    """Return the words of a message's content: a text, or parts of it."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else ()
    return "".join(
        part if isinstance(part, str) else str(_get(part, "text") or "")
        for part in parts
        if isinstance(part, str) or _get(part, "type") in _TEXT_PARTS
    )


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)
