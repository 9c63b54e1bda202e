"""What a model can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from routellm_core.types import Modality

__all__ = ["BYTES_PER_TOKEN", "Capabilities"]

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
