"""The warning about thresholds that send nearly all calls to one model, logged once for each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from routellm_core.calibration import threshold_advice

if TYPE_CHECKING:
    from routellm_core.routers.base import Router

__all__ = ["note_threshold"]

logger = logging.getLogger(__name__)

_MAX_NOTED = 256
"""Clients of a server choose thresholds: after this many warnings no more are logged."""

_noted: set[tuple[str, str | None, float]] = set()


def note_threshold(router: Router, threshold: float) -> None:
    """Log a warning if a threshold does nothing, once in this process for a router.

    A warning of the `warnings` module would be an error in many test suites.
    """
    key = (router.name, router.checkpoint_id, threshold)
    if key in _noted or len(_noted) >= _MAX_NOTED:
        return
    advice = threshold_advice(router, threshold=threshold)
    if advice:
        _noted.add(key)
        logger.warning("%s", advice)
