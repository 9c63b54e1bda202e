"""`DraftWatch`: rejects a draft while it is being written, without reading from any stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from routellm_core.answers.content import Answer, Token, as_prompt
from routellm_core.answers.token_fields import read_tokens
from routellm_core.answers.verifier import check_level

if TYPE_CHECKING:
    from routellm_core.answers.content import Prompt
    from routellm_core.answers.verifier import Score, Verifier

__all__ = ["DraftWatch"]

_TEXT_PARTS = frozenset({"text", "output_text"})
"""Types of the parts of a message that are read out; reasoning is not among them."""


class DraftWatch:
    """A draft that is being written, and whether it can still be accepted.

    Feed it every chunk as it arrives. At the first rejection close the stream: the rest of the
    draft would be paid for and not used. A draft that comes to its end without a rejection is not
    accepted by that: score it as a whole, by the same verifier.

    Parameters
    ----------
    prompt
        What the draft answers.
    verifier
        What the whole draft will be scored by. Of `first_failing`, `all_of` and `mean_of` each
        part is watched, so that refusals (`no_refusal`), JSON that can no longer become valid
        (`schema`) and a low running log-probability (`logprob`) reject a draft at once.
    accept
        The level of acceptance: a draft whose score is at least this high is accepted.

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
    >>> from routellm_core.answers import first_failing, judge, no_refusal
    >>> watch = DraftWatch("Who won?", first_failing(no_refusal(), judge("model")), accept=0.5)
    >>> watch.feed("I'm sorry, ") is None
    True
    >>> watch.feed("but I can't help with that.")
    Score(value=0.0, reason='no_refusal: a refusal (en)', raw=None)
    """

    def __init__(self, prompt: Prompt | str, verifier: Verifier, *, accept: float) -> None:
        self._watch = verifier.watch(as_prompt(prompt), accept=check_level(accept))
        self.rejection: Score | None = None
        """The score that rejected the draft, below the level of acceptance."""
        self.n_chars = 0
        """Characters of the text that was read."""
        self.n_tokens = 0
        """Tokens that were read and came with their log-probabilities."""

    @property
    def wants_chunks(self) -> bool:
        """Whether a chunk could still lead to a rejection; if not, none has to be fed."""
        return self._watch is not None and self.rejection is None

    def feed(self, chunk: Any) -> Score | None:
        """Read one more chunk.

        Parameters
        ----------
        chunk
            A text; an `Answer` that holds what is new; or a chunk of a stream of OpenAI's shape
            (LiteLLM, vLLM), of LangChain or of LlamaIndex, as an object or as mappings.

        Returns
        -------
        `rejection`: a score as soon as the draft is rejected, and from then on; None before.
        """
        if self._watch is not None and self.rejection is None:
            piece = _piece_of(chunk)
            self.n_chars += len(piece.text)
            self.n_tokens += len(piece.tokens)
            self.rejection = self._watch.feed(piece.text, piece.tokens)
        return self.rejection


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
