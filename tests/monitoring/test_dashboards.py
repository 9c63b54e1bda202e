"""The alert rules and the dashboard, against the metrics that exist and Prometheus's own checks."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from routellm_core import Calibration, Monitor, PrometheusSink, make_guards
from routellm_core.monitoring.alerts import DriftWatch

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
RULES = FOLDER / "routellm-alerts.yml"
DASHBOARD = FOLDER / "grafana-dashboard.json"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool, of Prometheus, is not installed"
)


@pytest.fixture
def exported(record) -> set[str]:
    """Return the name of every sample that a monitor with all its parts exports."""
    prometheus = pytest.importorskip("prometheus_client")
    import numpy as np

    registry = prometheus.CollectorRegistry()
    sink = PrometheusSink(registry)
    watch = DriftWatch(Calibration(np.linspace(0, 1, 11), 10, "test"), threshold=0.5)
    make_guards(monitor=Monitor(sink, watch), breaker=True, budget=1.0)
    sink.write(record(failures=("weak:E",), first_chunk_ms=1.0, input_tokens=1, cost_usd=1.0))
    sink.write(record())
    return {sample.name for family in registry.collect() for sample in family.samples}


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\broutellm_[a-z_]+\b", text))


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_every_metric_of_the_dashboard_is_exported(exported: set[str]) -> None:
    assert names_in(" ".join(expressions())) <= exported


def test_every_metric_of_the_alert_rules_is_exported(exported: set[str]) -> None:
    rules = "\n".join(line for line in RULES.read_text().splitlines() if "description" not in line)
    assert names_in(rules) <= exported


def test_the_dashboards_panels_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells
        assert place["x"] + place["w"] <= 24
        cells |= own
    assert len({panel["id"] for panel in panels}) == len(panels)


def promtool(*arguments: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_accepts_the_alert_rules() -> None:
    promtool("check", "rules", RULES)


@needs_promtool
def test_the_alerts_fire_when_they_should_and_not_before() -> None:
    promtool("test", "rules", FOLDER / "routellm-alerts-test.yml")


@needs_promtool
def test_prometheus_can_parse_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = {
        "groups": [
            {
                "name": "dashboard",
                "rules": [
                    {"record": f"panel_{n}", "expr": expr.replace("$__rate_interval", "5m")}
                    for n, expr in enumerate(expressions())
                ],
            }
        ]
    }
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps(rules))  # JSON is YAML
    promtool("check", "rules", path)


@pytest.mark.loopback
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_a_real_prometheus_scrapes_the_metrics_and_loads_the_rules(tmp_path: Path, record) -> None:
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    monitor = Monitor(PrometheusSink(registry))
    monitor.sinks[0].write(record(cost_usd=0.25))
    exporter, _ = prometheus.start_http_server(0, addr="127.0.0.1", registry=registry)
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "routellm",
                "static_configs": [{"targets": [f"127.0.0.1:{exporter.server_port}"]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    server = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        query = f"http://127.0.0.1:{port}/api/v1/query?query=routellm_cost_usd_total"
        [result] = wait_for(lambda: asked(query)["data"]["result"])
        assert result["metric"]["model"] == "small"
        assert result["value"][1] == "0.25"
        [group] = asked(f"http://127.0.0.1:{port}/api/v1/rules")["data"]["groups"]
        assert len(group["rules"]) == RULES.read_text().count("- alert:")
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    finally:
        server.terminate()
        server.wait()
        exporter.shutdown()
        exporter.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def wait_for(look, *, timeout_s: float = 60.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            found = look()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("Nothing came.")
