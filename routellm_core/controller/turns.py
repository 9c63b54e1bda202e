"""Which expert answered a user's turn, for the steps of its tool loop."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

from routellm_core.controller.messages import OpenAIView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.controller.messages import Message

__all__ = ["TurnMemory"]

_VIEW = OpenAIView()


class TurnMemory:
    """Keep the experts of the latest turns in this process, under digests of their words.

    Parameters
    ----------
    size
        How many turns are kept, at least 1.

    Examples
    --------
    >>> memory = TurnMemory()
    >>> asked = [{"role": "user", "content": "Weather?"}]
    >>> memory.note(asked, "coder")
    >>> memory.expert_of(asked) is None
    True
    >>> memory.expert_of([*asked, {"role": "assistant"}, {"role": "tool", "content": "Rain"}])
    'coder'
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._experts: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def expert_of(self, messages: Sequence[Message]) -> str | None:
        """Return who answered the last user's turn; None where it begins here, or is not known."""
        n_asked = _n_asked(messages)
        if n_asked in (0, len(messages)):
            return None
        key = _key(messages, n_asked)
        with self._lock:
            if key in self._experts:
                self._experts.move_to_end(key)
            return self._experts.get(key)

    def note(self, messages: Sequence[Message], expert: str) -> None:
        """Note who answered the last user's turn."""
        n_asked = _n_asked(messages)
        if n_asked == 0:
            return
        with self._lock:
            self._experts[_key(messages, n_asked)] = expert
            if len(self._experts) > self._size:
                self._experts.popitem(last=False)


def _n_asked(messages: Sequence[Message]) -> int:
    """Return how many messages there are up to the last one of the user's; 0 without one."""
    places = range(len(messages), 0, -1)
    return next((n for n in places if _VIEW.role(messages[n - 1]) == "user"), 0)


def _key(messages: Sequence[Message], n_asked: int) -> bytes:
    # The first and the last words tell conversations apart; hashing all would take as long as they.
    ends = (_VIEW.text(messages[0]), _VIEW.text(messages[n_asked - 1]))
    digest = blake2b(str(n_asked).encode(), digest_size=16)
    for text in ends:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()
