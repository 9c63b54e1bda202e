"""The values that travel between the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "RECORD_KEY",
    "Calibration",
    "Decision",
    "DecisionRecord",
    "Modality",
    "ModelPair",
    "WinRates",
]

RECORD_KEY = "routellm"
"""The key under which an answer carries its decision record."""

WinRates: TypeAlias = "NDArray[np.float64]"
"""Win rates of n prompts: shape (n,), each in [0, 1]."""

Modality = Literal["image", "audio", "video", "file"]
"""What a message may hold besides text."""


class DecisionRecord(TypedDict):
    """A decision as JSON: what is stored on an answer under the key "routellm"."""

    route: str
    model: str
    win_rate: float | None
    threshold: float | None
    router: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelPair:
    """The two models between which a router chooses.

    Parameters
    ----------
    strong, weak
        Model names as the router's training data spell them; they must differ.
    """

    strong: str
    weak: str

    def __post_init__(self) -> None:
        if self.strong == self.weak:
            raise ConfigurationError(
                f"The strong and the weak model must differ, got {self.strong!r} twice."
            )


@dataclass(frozen=True, slots=True)
class Decision:
    """Where one call goes, and why.

    Parameters
    ----------
    route
        "strong", "weak", or an expert's name.
    model
        Name of the model behind that route.
    win_rate
        Probability in [0, 1] that the strong model's answer is the better one, ties half;
        None when the router was not asked.
    threshold
        The call goes to the strong model when `win_rate` >= `threshold`.
    router
        Registered name of the router.
    reason
        "win_rate", "override", "sticky", "empty_prompt", "capability:<what>",
        "router_error:<error class>" or "escalation:<error class>".
    """

    route: str
    model: str
    win_rate: float | None
    threshold: float | None
    router: str
    reason: str

    def record(self) -> DecisionRecord:
        """Return the decision as a new, JSON-safe mapping."""
        return {
            "route": self.route,
            "model": self.model,
            "win_rate": self.win_rate,
            "threshold": self.threshold,
            "router": self.router,
            "reason": self.reason,
        }

    def metadata(self) -> dict[str, str | float | None]:
        """Return the decision as flat metadata for a run or a span: "routellm_route" and so on."""
        return {
            "routellm_route": self.route,
            "routellm_model": self.model,
            "routellm_win_rate": self.win_rate,
            "routellm_threshold": self.threshold,
            "routellm_router": self.router,
            "routellm_reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """The win rates that a router gave to representative prompts.

    Parameters
    ----------
    quantiles
        Shape (q,), q >= 2, ascending, in [0, 1]: the win rates' quantiles at q evenly spaced
        levels from 0 to 1.
    n_prompts
        How many prompts were scored.
    source
        What the prompts were, in words.
    """

    quantiles: WinRates
    n_prompts: int
    source: str

    def __post_init__(self) -> None:
        quantiles = self.quantiles
        valid = (
            quantiles.ndim == 1
            and quantiles.size >= 2
            and bool(np.isfinite(quantiles).all())
            and bool((np.diff(quantiles) >= 0.0).all())
            and quantiles[0] >= 0.0
            and quantiles[-1] <= 1.0
        )
        if not valid:
            raise ConfigurationError(
                "Calibration quantiles must be at least 2 ascending numbers in [0, 1], got an "
                f"array of shape {quantiles.shape}."
            )
