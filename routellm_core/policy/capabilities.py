"""Which models can take a call at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.experts.capabilities import BYTES_PER_TOKEN, Capabilities

if TYPE_CHECKING:
    from routellm_core.policy.conversation import Turn

__all__ = ["missing_capability"]


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
