"""What the models' providers have cached of a conversation, from its earlier answers."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from routellm_core.policy.memory import RecentValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.policy.cache_rule import CacheRule
    from routellm_core.policy.conversation import Role
    from routellm_core.types import Usage

__all__ = ["Held", "History", "HistoryReader", "PastAnswer", "PrefixMemory", "ReadAnswer"]

_CHARS_PER_TOKEN = 4.0
_LEAST_TOKENS = 1024
"""Shorter prompts are not cached by most providers."""
_MOST_ANSWERS = 16
"""Earlier answers are too old to be in a cache."""


class PastAnswer(NamedTuple):
    """An earlier answer of the conversation.

    Parameters
    ----------
    expert, model
        Who gave it.
    at
        When, in seconds since 1970.
    usage
        What it used; None where nobody counted.
    """

    expert: str
    model: str
    at: float
    usage: Usage | None


class Held(NamedTuple):
    """What one model's provider has cached.

    Parameters
    ----------
    tokens
        Tokens from the conversation's beginning on.
    is_estimated
        Whether they follow from the length of the shared beginning, because nobody counted.
    """

    tokens: float
    is_estimated: bool


class History(NamedTuple):
    """What came before the turn that is decided now.

    Parameters
    ----------
    held
        What is cached of it, by expert; nothing that expired.
    prompt_tokens
        Expected tokens of the next prompt.
    calls_per_turn
        Mean calls of a model in a turn so far, at least 1.
    """

    held: Mapping[str, Held]
    prompt_tokens: float
    calls_per_turn: float


ReadAnswer: TypeAlias = "Callable[[Sequence[Any], Sequence[str], int], PastAnswer | None]"
"""Reads the answer at a place of a conversation, from its messages and their texts."""


class HistoryReader:
    """Read what is cached of a conversation.

    Parameters
    ----------
    rule
        Says which experts count, and for how long.
    answer
        Reads one earlier answer; None where it is not known whose it is.
    """

    __slots__ = ("_answer", "rule")

    def __init__(self, rule: CacheRule, answer: ReadAnswer) -> None:
        self.rule = rule
        self._answer = answer

    def read(
        self, messages: Sequence[Any], roles: Sequence[Role], texts: Sequence[str]
    ) -> History | None:
        """Return the history of a conversation; None where nothing of it is cached.

        Parameters
        ----------
        messages, roles, texts
            Oldest first; who speaks and the words of each.
        """
        answers = [place for place, role in enumerate(roles) if role == "assistant"]
        if not answers or not self.rule.cached_experts:
            return None
        oldest = self.rule.clock() - self.rule.settings.ttl_s
        held: dict[str, Held] = {}
        prompt_tokens: float | None = None
        for place in answers[: -_MOST_ANSWERS - 1 : -1]:
            past = self._answer(messages, texts, place)
            if past is None:
                continue
            if prompt_tokens is None:
                prompt_tokens = _prompt_tokens(past.usage, texts, place)
            if past.at < oldest:
                break
            if past.expert not in held and self.rule.holds(past.expert, past.model):
                held[past.expert] = _held(past.usage, texts, place)
        if not any(one.tokens for one in held.values()) or prompt_tokens is None:
            return None
        n_turns = max(1, sum(role == "user" for role in roles) - 1)
        return History(held, prompt_tokens, max(1.0, len(answers) / n_turns))


class PrefixMemory:
    """Keep who answered the latest prompts of this process, under digests of their words.

    For messages that carry no record of their own.

    Parameters
    ----------
    size
        How many answers are kept.

    Examples
    --------
    >>> from routellm_core.types import Usage
    >>> memory = PrefixMemory(size=10)
    >>> memory.note(["Hi"], PastAnswer("weak", "small", 0.0, Usage(5, 1)))
    >>> memory.answer([], ["Hi", "Hello!", "Thanks"], 1).expert
    'weak'
    >>> memory.answer([], ["Hello", "Hello!", "Thanks"], 1) is None
    True
    """

    __slots__ = ("_answers",)

    def __init__(self, *, size: int = 10_000) -> None:
        self._answers: RecentValues[bytes, PastAnswer] = RecentValues(size=size)

    def note(self, texts: Sequence[str], answer: PastAnswer) -> None:
        """Note who answered a prompt, given by the texts of its messages."""
        if texts:
            self._answers.put(_key(texts, len(texts)), answer)

    def answer(
        self,
        messages: Sequence[Any],  # noqa: ARG002 - they carry no record
        texts: Sequence[str],
        place: int,
    ) -> PastAnswer | None:
        """Return who gave the answer at a place, if that is known."""
        return self._answers.get(_key(texts, place)) if place else None


def _key(texts: Sequence[str], n_texts: int) -> bytes:
    # Both ends and the length tell prompts apart; hashing all would take as long as they are.
    length = sum(len(texts[place]) for place in range(n_texts))
    digest = blake2b(f"{n_texts},{length}".encode(), digest_size=16)
    for text in (texts[0], texts[n_texts - 1]):
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _held(usage: Usage | None, texts: Sequence[str], place: int) -> Held:
    """Return what the provider has cached since the answer at a place."""
    if usage is not None and not usage.cached_tokens == usage.cache_write_tokens is None:
        # A count of 0 says that nothing is there; a call that only wrote has left its prefix.
        return Held((usage.cached_tokens or 0) + (usage.cache_write_tokens or 0), False)
    tokens = sum(map(len, texts[:place])) / _CHARS_PER_TOKEN
    if usage is not None and usage.input_tokens is not None:
        tokens = usage.input_tokens
    return Held(tokens if tokens >= _LEAST_TOKENS else 0, True)


def _prompt_tokens(usage: Usage | None, texts: Sequence[str], place: int) -> float:
    """Return the expected tokens of the next prompt."""
    if usage is None or usage.input_tokens is None:
        return sum(map(len, texts)) / _CHARS_PER_TOKEN
    new_chars = sum(len(text) for text in texts[place + 1 :])
    return usage.input_tokens + (usage.output_tokens or 0) + new_chars / _CHARS_PER_TOKEN
