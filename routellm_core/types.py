"""The values that travel between the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

import numpy as np

from routellm_core._numbers import bad_number, first_descent
from routellm_core._usage import VERIFIER_OUTCOMES, StepRecord, Usage
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import NotRequired

__all__ = [
    "RECORD_KEY",
    "VERIFIER_OUTCOMES",
    "CacheNote",
    "Calibration",
    "Decision",
    "DecisionRecord",
    "Modality",
    "ModelPair",
    "Outcome",
    "Scale",
    "StepRecord",
    "Usage",
    "WinRates",
]

RECORD_KEY = "routellm"
"""The key under which an answer carries its decision record."""

WinRates: TypeAlias = "NDArray[np.float64]"
"""Win rates of n prompts: shape (n,), each in [0, 1]."""

Modality = Literal["image", "audio", "video", "file"]
"""What a message may hold besides text."""


Scale = Literal["percentile", "probability"]
"""What a router's win rates are: see `Router.scale`."""

Outcome = Literal["answered", "failed", "abandoned", "refused"]
"""How a call ended: "abandoned" when the caller left before the end, "refused" when no model was
asked."""


class BetterRecord(TypedDict):
    """How often the strong model's answer is strictly better, with a 95 % interval."""

    probability: float
    low: float
    high: float


class DecisionRecord(TypedDict):
    """A decision as JSON: what is stored on an answer under the key "routellm".

    "call_id" is there where a monitor records the call.
    `cache` is there where a prompt cache moved the decision, and `at`, in seconds since 1970, on
    answers of models whose cached tokens have a price.
    """

    route: str
    model: str
    win_rate: float | None
    threshold: float | None
    router: str
    reason: str
    better: NotRequired[BetterRecord]
    call_id: NotRequired[str]
    cache: NotRequired[dict[str, str | float | bool]]
    at: NotRequired[int]


@dataclass(frozen=True, slots=True)
class CacheNote:
    """How the prompt caches of a conversation moved a decision.

    Parameters
    ----------
    model
        The model that has most of the conversation cached.
    share
        In [0, 1]: the share of the prompt that it has cached.
    shift
        What the caches added to the threshold; None where costs moved and no threshold.
    is_estimated
        Whether the share follows from the length of the shared beginning, because the provider
        counted no cached tokens.
    """

    model: str
    share: float
    shift: float | None
    is_estimated: bool

    def record(self) -> dict[str, str | float | bool]:
        """Return the note as a new, JSON-safe mapping."""
        told: dict[str, str | float | bool] = {"model": self.model, "share": self.share}
        if self.shift is not None:
            told["shift"] = self.shift
        return {**told, "estimated": self.is_estimated}


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
        In [0, 1], on the router's scale: see `Router.scale`. None when the router was not asked.
    threshold
        The call goes to the strong model when `win_rate` >= `threshold`.
    router
        Registered name of the router.
    reason
        "win_rate", "override", "sticky", "own_effort", "empty_prompt", "capability:<what>",
        "router_error:<error class>", "budget", "escalation:<error class>" or "breaker_open". With
        a strategy also its name, "accepted:<verifier>", "rejected:<verifier>",
        "verifier_error:<error class>", "best_of", "best_draft:<error class>" or "deadline".
    order
        The experts that may be asked, in the order in which one follows another; empty for that of
        the table. No part of the record.
    qualities
        What the router expects of each expert of `order`, in [0, 1]; empty where it was not asked.
        No part of the record.
    cheapest
        The cheapest expert that can take the call; empty for the table's. No part of the record.
    better
        The probability that the strong model's answer is strictly better at this win rate, and the
        ends of its 95 % interval; None where the router was not calibrated on outcomes.
    call_id
        Names the call in a monitor's log; empty where no monitor records it.
    cache
        How prompt caches moved the decision; None where they did not.
    """

    route: str
    model: str
    win_rate: float | None
    threshold: float | None
    router: str
    reason: str
    order: tuple[str, ...] = ()
    qualities: tuple[float, ...] = ()
    cheapest: str = ""
    better: tuple[float, float, float] | None = None
    call_id: str = ""
    cache: CacheNote | None = None

    def record(self) -> DecisionRecord:
        """Return the decision as a new, JSON-safe mapping."""
        record: DecisionRecord = {
            "route": self.route,
            "model": self.model,
            "win_rate": self.win_rate,
            "threshold": self.threshold,
            "router": self.router,
            "reason": self.reason,
        }
        if self.better is not None:
            probability, low, high = self.better
            record["better"] = {"probability": probability, "low": low, "high": high}
        if self.call_id:
            record["call_id"] = self.call_id
        if self.cache is not None:
            record["cache"] = self.cache.record()
        return record

    def metadata(self) -> dict[str, str | float | None]:
        """Return the decision as flat metadata for a run or a span: "routellm_route" and so on."""
        cache = {} if self.cache is None else self.cache.record()
        metadata: dict[str, str | float | None] = {
            **{f"routellm_cache_{name}": value for name, value in cache.items()},
            "routellm_route": self.route,
            "routellm_model": self.model,
            "routellm_win_rate": self.win_rate,
            "routellm_threshold": self.threshold,
            "routellm_router": self.router,
            "routellm_reason": self.reason,
        }
        if self.call_id:
            metadata["routellm_call_id"] = self.call_id
        return metadata

    def of_call(self, call_id: str) -> Decision:
        """Return the decision as that of a call with an id."""
        # By position: `replace` would take three times as long, at every call that is recorded.
        return Decision(
            self.route,
            self.model,
            self.win_rate,
            self.threshold,
            self.router,
            self.reason,
            self.order,
            self.qualities,
            self.cheapest,
            self.better,
            call_id,
            self.cache,
        )


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
    quality_floors
        Shape (f, 2), ascending: a share of the strong model's quality and the highest threshold
        that was shown to keep it. None when the prompts' outcomes were not known.
    tokens
        Shape (q - 1, 3): for the prompts between two quantiles, the mean tokens of a prompt, of the
        strong model's answer and of the weak model's. None when they were not counted.
    probability
        Shape (k, 2), ascending: win rates and the observed ones that they stand for, joined by
        straight lines. None when the prompts' outcomes were not known.
    scale
        Shape (k, 2), ascending: raw win rates and the percentiles that the router returns in their
        place, joined by straight lines. None when it returns them as they are.
    better
        Shape (k, 4): win rates, ascending; the probability that the strong model's answer is
        strictly better; the ends of its 95 % interval. None when the prompts' outcomes were not
        known.
    """

    quantiles: WinRates
    n_prompts: int
    source: str
    quality_floors: NDArray[np.float64] | None = None
    tokens: NDArray[np.float64] | None = None
    probability: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    better: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        self._check_quantiles()
        for name in ("quality_floors", "probability", "scale"):
            table = getattr(self, name)
            if table is not None:
                _check_ascending_map(table, name=name)
        if self.scale is not None and first_descent(self.scale[:, 1], strictly=True):
            raise ConfigurationError("`scale` must ascend strictly, or prompts would be tied.")
        if self.better is not None:
            _check_ascending_map(self.better, name="better", columns=4)
        if self.tokens is not None:
            _check_tokens(self.tokens, cells=self.quantiles.size - 1)

    def _check_quantiles(self) -> None:
        quantiles = self.quantiles
        if quantiles.ndim != 1 or quantiles.size < 2:
            raise ConfigurationError(
                "Calibration quantiles must be at least 2 ascending numbers in [0, 1], got an "
                f"array of shape {quantiles.shape}."
            )
        bad = bad_number(quantiles, low=0.0, high=1.0) or first_descent(quantiles)
        if bad:
            raise ConfigurationError(
                f"Calibration quantiles must be ascending numbers in [0, 1], got {bad}."
            )


def _check_ascending_map(table: NDArray[np.float64], *, name: str, columns: int = 2) -> None:
    """Refuse what is not rows (x, ...) in [0, 1] that ascend strictly in x."""
    rows = "pairs" if columns == 2 else f"rows of {columns} numbers"
    if table.ndim != 2 or table.shape[1] != columns or not len(table):
        raise ConfigurationError(
            f"`{name}` must be ascending {rows} in [0, 1], got shape {table.shape}."
        )
    bad = bad_number(table, low=0.0, high=1.0) or first_descent(table[:, 0], strictly=True)
    if bad:
        raise ConfigurationError(f"`{name}` must be ascending {rows} in [0, 1], got {bad}.")


def _check_tokens(tokens: NDArray[np.float64], *, cells: int) -> None:
    if tokens.shape != (cells, 3):
        raise ConfigurationError(
            f"`tokens` must be {cells} rows of 3 counts, got shape {tokens.shape}."
        )
    bad = bad_number(tokens, low=0.0)
    if bad:
        raise ConfigurationError(f"`tokens` must be finite and at least 0, got {bad}.")
