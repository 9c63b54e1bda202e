"""The examples of deployment hold settings that the server takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from routellm_core.server import read_settings
from routellm_core.server.app import make_fleet
from routellm_core.testing import ScriptedRouter

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def test_the_compose_examples_environment_is_one_the_server_takes() -> None:
    compose: Any = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    settings = read_settings(
        {"host": "0.0.0.0"}, environ=compose["services"]["routellm"]["environment"]
    )
    assert settings.playground
    assert settings.strong_model == "llama3.1:8b"
    assert settings.api_key is not None


def test_the_kubernetes_example_drains_within_its_time(tmp_path: Path) -> None:
    documents: list[Any] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    file = tmp_path / "server.yaml"
    file.write_text(documents[0]["data"]["server.yaml"])
    settings = read_settings(
        {"host": "0.0.0.0"}, config=file, environ={"ROUTELLM_API_KEY": "secret"}
    )
    pod = documents[1]["spec"]["template"]["spec"]
    pause_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause_s + settings.grace_s < pod["terminationGracePeriodSeconds"]
    served = pod["containers"][0]["readinessProbe"]["httpGet"]["path"]
    assert served == "/health", "the one path without a key"


def test_the_guides_examples_are_ones_the_server_takes(tmp_path: Path) -> None:
    guide = (DEPLOY.parent / "serving.md").read_text()
    file = tmp_path / "server.yaml"
    read = []
    for block in guide.split("```yaml\n")[1:]:
        file.write_text(block.split("```")[0])
        read.append(read_settings(config=file, environ={}))
    of_strategy, of_pair = read
    assert of_pair.router_options == {"mf": {"checkpoint": "/models/my-router"}}
    fleet = make_fleet(of_strategy, {"mf": ScriptedRouter({})})
    assert fleet.experts.names == ("fast", "coder", "large")
    assert "judge" in repr(fleet.strategy)
