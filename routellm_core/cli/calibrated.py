"""What `routellm calibrate --save` does to a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.cli.console import notes
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.routers import Router
    from routellm_core.types import Calibration

__all__ = ["move_scale", "save_calibrated"]


def move_scale(router: Router, texts: Sequence[str]) -> None:
    """Make a router's percentiles those of the prompts that it is saved with."""
    from routellm_core.calibration import calibration_of, on_percentiles

    if router.calibration is not None and router.scale == "percentile":
        raw = router.raw_win_rates(texts)
        router.set_calibration(on_percentiles(calibration_of(raw, source="")))


def save_calibrated(router: Router, stored: Calibration, folder: str) -> None:
    """Write the router with this calibration, and see that it is there."""
    from routellm_core.calibration import with_calibration
    from routellm_core.routers import load_router

    written = with_calibration(router, stored, folder)
    kept = load_router(router.name, checkpoint=written).calibration
    if kept is None or kept.n_prompts != stored.n_prompts:
        raise ConfigurationError(f"A {router.name!r} router cannot carry another calibration.")
    notes().print(f"Wrote {written}.", soft_wrap=True)
