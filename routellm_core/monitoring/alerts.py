"""Say so when live prompts drift away from the calibration."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from routellm_core.errors import ConfigurationError
from routellm_core.monitoring.drift import Baseline, Drift, DriftLimits, Window
from routellm_core.monitoring.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from routellm_core.monitoring.records import CallRecord
    from routellm_core.types import Calibration

__all__ = ["Alert", "DriftWatch", "webhook"]

logger = logging.getLogger(__name__)

WEBHOOK_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Alert:
    """Report that drift began or ended.

    Parameters
    ----------
    state
        "drifting" or "recovered".
    message
        One sentence for a person.
    drift
        The figures.
    """

    state: str
    message: str
    drift: Drift


class DriftWatch(Sink):
    """Compare the latest win rates with the calibration, again and again.

    When drift begins and when it ends, the log gets a warning and every function in `alerts` an
    `Alert`. A `PrometheusSink` of the same monitor shows the figures as "routellm_drift_...".

    Parameters
    ----------
    calibration
        The router's.
    threshold
        Of the calls; overrides of single calls do not count.
    window
        How many calls are compared at a time, at least 50.
    every
        After how many calls they are compared again, at least 1; a fifth of the window if None.
    limits
        What counts as drift.
    alerts
        Called in the monitor's thread, for example `webhook(url)`.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    def __init__(
        self,
        calibration: Calibration,
        *,
        threshold: float,
        window: int = 500,
        every: int | None = None,
        limits: DriftLimits | None = None,
        alerts: Iterable[Callable[[Alert], object]] = (),
    ) -> None:
        if window < 50:
            raise ConfigurationError(f"`window` must be at least 50, got {window!r}.")
        if every is not None and every < 1:
            raise ConfigurationError(f"`every` must be at least 1, got {every!r}.")
        self._baseline = Baseline.of(calibration)
        self._threshold = threshold
        self._limits = limits or DriftLimits()
        self._alerts = list(alerts)
        self._window = Window(window)
        self._every = every or max(1, window // 5)
        self._until_look = self._every
        self.latest: Drift | None = None
        """The latest comparison; None before the window was full."""

    def write(self, record: CallRecord) -> None:
        """Take one call's win rate."""
        if record.decided_reason != "win_rate" or record.win_rate is None:
            return
        if record.threshold != self._threshold:
            return
        self._window.add(record.win_rate)
        self._until_look -= 1
        if self._until_look <= 0 and self._window.is_full:
            self._until_look = self._every
            self._look()

    def gauges(self) -> Mapping[str, Callable[[], float]]:
        """Return the figures of the latest comparison, NaN before there is one."""
        return {
            "drift_psi": lambda: self._figure("psi"),
            "drift_ks": lambda: self._figure("ks"),
            "drift_strong_share": lambda: self._figure("strong_share"),
            "drift_detected": lambda: float(bool(self.latest and self.latest.signs)),
        }

    def _figure(self, name: str) -> float:
        return float("nan") if self.latest is None else float(getattr(self.latest, name))

    def _look(self) -> None:
        before = self.latest
        drift = self._baseline.drift(
            self._window.win_rates(), threshold=self._threshold, limits=self._limits
        )
        self.latest = drift
        if bool(drift.signs) == bool(before and before.signs):
            return
        state = "drifting" if drift.signs else "recovered"
        alert = Alert(state, _sentence(state, drift), drift)
        logger.warning("%s", alert.message)
        for tell in self._alerts:
            try:
                tell(alert)
            except Exception as error:  # noqa: BLE001 - the next one is told all the same
                logger.warning("An alert could not be sent: %s.", type(error).__name__)


def webhook(url: str, *, headers: Mapping[str, str] | None = None) -> Callable[[Alert], None]:
    """Return a function that posts an alert as JSON.

    Parameters
    ----------
    url
        Starts with "https://" or "http://".
    headers
        Sent along, for example an authorization.

    Raises
    ------
    ConfigurationError
        If the URL is of another kind.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError("A webhook's URL must start with 'https://' or 'http://'.")

    def post(alert: Alert) -> None:
        from urllib.request import Request, urlopen

        body = {"text": alert.message, "state": alert.state, "drift": asdict(alert.drift)}
        request = Request(  # noqa: S310 - the scheme is checked above
            url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        with urlopen(request, timeout=WEBHOOK_TIMEOUT_S):  # noqa: S310 # nosec B310
            pass

    return post


def _sentence(state: str, drift: Drift) -> str:
    if state == "recovered":
        return f"The latest {drift.n_calls} prompts look like the calibration again."
    share = ""
    if drift.strong_share is not None and drift.share_band is not None:
        low, high = drift.share_band
        share = f", strong share {drift.strong_share:.1%} (expected {low:.1%} to {high:.1%})"
    return (
        f"The latest {drift.n_calls} prompts differ from the calibration: PSI {drift.psi:.3f}, "
        f"KS {drift.ks:.3f}{share}. Calibrate the router on recent prompts."
    )
