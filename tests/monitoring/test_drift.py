"""Drift from the calibration, and the alerts that follow."""

import json
import logging
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest

from routellm_core import Calibration, ConfigurationError, Monitor, PrometheusSink
from routellm_core.monitoring.alerts import DriftWatch, webhook
from routellm_core.monitoring.drift import Baseline, Drift, DriftLimits, _ks_p
from routellm_core.monitoring.summary import summarise

UNIFORM = Calibration(np.linspace(0.0, 1.0, 101), n_prompts=10_000, source="uniform")


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_prompts_like_the_calibration_show_no_drift() -> None:
    drift = Baseline.of(UNIFORM).drift(rng().random(2000), threshold=0.7)
    assert drift.signs == ()
    assert drift.psi < 0.02
    assert drift.strong_share == pytest.approx(0.3, abs=0.04)
    low, high = drift.share_band
    assert low < 0.3 < high


def test_prompts_that_have_moved_show_in_all_three_figures() -> None:
    drift = Baseline.of(UNIFORM).drift(rng().random(500) ** 0.4, threshold=0.7)
    assert drift.signs == ("psi", "ks", "strong_share")


def test_a_moved_share_shows_even_where_the_rest_stays() -> None:
    win_rates = np.concatenate([rng().random(900), np.full(100, 0.71)])
    drift = Baseline.of(UNIFORM).drift(win_rates, threshold=0.7)
    assert "strong_share" in drift.signs
    assert "psi" not in drift.signs


def test_the_stability_index_is_that_of_two_bins_by_hand() -> None:
    # Half below and half above the median are expected, a quarter and three quarters are found:
    # of ten bins five hold 1/20 and five hold 3/20, where 1/10 was expected.
    baseline = Baseline.of(UNIFORM)
    low, high = np.linspace(0.005, 0.495, 250), np.linspace(0.505, 0.995, 750)
    expected = 5 * (0.05 - 0.1) * np.log(0.05 / 0.1) + 5 * (0.15 - 0.1) * np.log(0.15 / 0.1)
    drift = baseline.drift(np.concatenate([low, high]))
    assert drift.psi == pytest.approx(expected, rel=0.01)
    assert drift.ks == pytest.approx(0.25, abs=0.01)


def test_win_rates_of_a_few_values_only_are_compared_as_they_are() -> None:
    # A calibration of ties: 60 % at 0.2, 40 % at 0.8.
    values = np.concatenate([np.full(600, 0.2), np.full(400, 0.8)])
    baseline = Baseline(values, n_prompts=1000)
    assert baseline.share_at_least(0.8) == pytest.approx(0.4, abs=0.002)
    assert baseline.share_at_least(0.2) == 1.0
    same = baseline.drift(rng().permutation(values)[:500], threshold=0.8)
    assert same.signs == ()
    assert same.ks < 0.06
    other = baseline.drift(np.full(500, 0.8), threshold=0.8)
    assert set(other.signs) == {"psi", "ks", "strong_share"}


def test_the_p_value_is_kolmogorovs() -> None:
    # The 5 % point of Kolmogorov's distribution is 1.358, the 1 % point 1.628.
    n = 10**8
    assert _ks_p(1.358 / np.sqrt(n / 2), n, n) == pytest.approx(0.05, abs=5e-4)
    assert _ks_p(1.628 / np.sqrt(n / 2), n, n) == pytest.approx(0.01, abs=2e-4)
    assert _ks_p(0.0, 100, 100) == 1.0


def test_false_alarms_are_as_rare_as_the_limits_say() -> None:
    baseline, alarms = Baseline.of(UNIFORM), 0
    for seed in range(400):
        drift = baseline.drift(rng(seed).random(500), threshold=0.7)
        alarms += bool(drift.signs)
    # One in a hundred windows leaves the share's band by chance.
    assert alarms <= 12


@pytest.fixture
def watch():
    alerts: list = []
    return DriftWatch(UNIFORM, threshold=0.7, window=200, every=50, alerts=[alerts.append]), alerts


def test_drift_is_told_when_it_begins_and_when_it_ends(watch, record, caplog) -> None:
    sink, alerts = watch
    for win_rate in rng().random(300):
        sink.write(record(win_rate=float(win_rate), threshold=0.7))
    assert alerts == []
    for win_rate in 0.5 + rng().random(400) / 2:
        sink.write(record(win_rate=float(win_rate), threshold=0.7))
    assert [alert.state for alert in alerts] == ["drifting"]
    assert "differ from the calibration" in caplog.text
    for win_rate in rng(3).random(400):
        sink.write(record(win_rate=float(win_rate), threshold=0.7))
    assert [alert.state for alert in alerts] == ["drifting", "recovered"]


def test_calls_that_no_win_rate_decided_do_not_count(watch, record) -> None:
    sink, alerts = watch
    for reason in ("sticky", "override", "empty_prompt"):
        for _ in range(300):
            sink.write(record(win_rate=0.99, threshold=0.7, decided_reason=reason))
    for _ in range(300):
        sink.write(record(win_rate=0.99, threshold=0.1))  # another threshold
    assert (alerts, sink.latest) == ([], None)


def test_an_alert_that_fails_stops_no_other(record, caplog) -> None:
    told: list = []

    def broken(alert) -> None:
        raise OSError("secret address")

    sink = DriftWatch(UNIFORM, threshold=0.7, window=50, alerts=[broken, told.append])
    for _ in range(60):
        sink.write(record(win_rate=0.99, threshold=0.7))
    assert len(told) == 1
    assert "OSError" in caplog.text
    assert "secret address" not in caplog.text


def test_prometheus_shows_the_drift(record) -> None:
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    sink = DriftWatch(UNIFORM, threshold=0.7, window=50)
    Monitor(sink, PrometheusSink(registry))
    assert np.isnan(registry.get_sample_value("routellm_drift_psi"))
    for _ in range(60):
        sink.write(record(win_rate=0.99, threshold=0.7))
    assert registry.get_sample_value("routellm_drift_psi") > 1.0
    assert registry.get_sample_value("routellm_drift_detected") == 1.0


@pytest.mark.loopback
def test_a_webhook_gets_the_alert_as_json(record) -> None:
    received: list = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            received.append((self.headers["x-token"], json.loads(self.rfile.read(length))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.handle_request, daemon=True).start()
        tell = webhook(f"http://127.0.0.1:{server.server_port}/", headers={"x-token": "t"})
        sink = DriftWatch(UNIFORM, threshold=0.7, window=50, alerts=[tell])
        for _ in range(60):
            sink.write(record(win_rate=0.99, threshold=0.7))
    [(token, body)] = received
    assert token == "t"
    assert body["state"] == "drifting"
    assert body["drift"]["signs"] == ["psi", "ks", "strong_share"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "nonsense", ""])
def test_a_webhook_is_a_web_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must start with"):
        webhook(url)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DriftLimits(psi=0.0),
        lambda: DriftLimits(ks_p=1.0),
        lambda: DriftWatch(UNIFORM, threshold=0.5, window=10),
        lambda: DriftWatch(UNIFORM, threshold=0.5, every=0),
        lambda: Baseline(np.array([0.5]), n_prompts=1),
        lambda: Baseline.of(UNIFORM).drift(np.array([])),
    ],
)
def test_a_wrong_setting_is_refused(make) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_a_summary_measures_drift_from_the_logs_begin(record) -> None:
    early = [record(n, win_rate=float(w), started_at=100.0 + n) for n, w in
             enumerate(rng().random(200))]  # fmt: skip
    late = [record(n, win_rate=0.99, started_at=10_000.0 + n, route="strong", cost_usd=0.5,
                   saved_usd=0.25, call_ms=float(n)) for n in range(101)]  # fmt: skip
    summary = summarise(late + early, period_s=3600.0)
    first, second = summary.periods
    assert (first.n_calls, second.n_calls) == (200, 101)
    assert first.psi is None
    assert second.psi > 1.0
    assert (second.strong_share, second.cost_usd) == (1.0, 50.5)
    assert (second.call_ms_p50, second.call_ms_p95) == (50.0, 95.0)
    assert (summary.total.n_calls, summary.total.saved_usd) == (301, 25.25)
    assert isinstance(Baseline.of(UNIFORM).drift(np.array([0.5])), Drift)
    assert logging.getLogger("routellm_core").handlers == []
