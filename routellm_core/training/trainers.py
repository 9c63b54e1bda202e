"""Which function trains which router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.training.auto import train_auto
from routellm_core.training.ensemble import train_ensemble
from routellm_core.training.members import MEMBER_TRAINERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from routellm_core.training.trained import Trained

__all__ = ["TRAINERS"]

TRAINERS: dict[str, Callable[..., Trained]] = {
    **MEMBER_TRAINERS,
    "auto": train_auto,
    "ensemble": train_ensemble,
}
"""The trainer of each router that learns, by the router's name; "auto" chooses among them."""
