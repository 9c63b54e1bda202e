"""Which models can take a call at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from routellm_core.types import Modality

if TYPE_CHECKING:
    from routellm_core.policy.conversation import Turn

__all__ = ["BYTES_PER_TOKEN", "Capabilities", "missing_capability"]

BYTES_PER_TOKEN = 4
"""UTF-8 bytes in a token, to estimate length: about 4 in English, 3 to 4 in most scripts."""

_ALL: frozenset[Modality] = frozenset(get_args(Modality))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can take. What is not known is assumed to work.

    Parameters
    ----------
    modalities
        What the model accepts besides text.
    tools
        Whether the model can call tools.
    context_window
        Tokens that the prompt may have; None when unknown.
    """

    modalities: frozenset[Modality] = _ALL
    tools: bool = True
    context_window: int | None = None


def missing_capability(model: Capabilities, turn: Turn) -> str | None:
    """Return what the model lacks for this turn, or None when it lacks nothing.

    Examples
    --------
    >>> from routellm_core.policy import Turn
    >>> missing_capability(Capabilities(tools=False), Turn("What is the weather?", tools=True))
    'tools'
    """
    lacking = turn.modalities - model.modalities
    if lacking:
        return min(lacking)
    if turn.tools and not model.tools:
        return "tools"
    window = model.context_window
    if window is not None and turn.n_bytes > window * BYTES_PER_TOKEN:
        return "context_window"
    return None
