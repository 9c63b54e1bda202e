"""Settings from flags, environment and YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.server import create_app, read_settings
from routellm_core.server.app import open_upstreams


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text("port: 1\nhost: 127.0.0.2\nthreshold: 0.25\nrouters: [random]\n")
    environ = {"ROUTELLM_PORT": "2", "ROUTELLM_HOST": "127.0.0.3", "ROUTELLM_ROUTERS": "a, b"}
    settings = read_settings({"port": 3, "host": None}, config=file, environ=environ)
    assert (settings.port, settings.host, settings.threshold) == (3, "127.0.0.3", 0.25)
    assert settings.routers == ("a", "b")


def test_routellms_file_gives_options_by_router(tmp_path: Path) -> None:
    file = tmp_path / "config.example.yaml"
    file.write_text("random:\n  checkpoint_path: some/folder\n")
    settings = read_settings({"routers": ["random"]}, config=file, environ={})
    assert settings.router_options == {"random": {"checkpoint_path": "some/folder"}}


def test_the_clients_key_comes_from_the_environment() -> None:
    settings = read_settings(environ={"ROUTELLM_API_KEY": "k"})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "k"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_listening_beyond_this_machine_needs_a_key_or_a_word(host: str) -> None:
    with pytest.raises(ConfigurationError, match="without a key"):
        read_settings({"host": host}, environ={})
    assert read_settings({"host": host, "insecure": True}, environ={}).host == host
    assert read_settings({"host": host}, environ={"ROUTELLM_API_KEY": "k"}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_may_be_served_without(host: str) -> None:
    assert read_settings({"host": host}, environ={}).api_key is None


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 0.5, "strong_share": 0.5}, "not both"),
        ({"strong_model": "a"}, "both `strong_model` and `weak_model`"),
        ({"routers": []}, "at least one router"),
        ({"port": 70000}, "port"),
        ({"workers": 0}, "workers"),
        ({"workers": 2, "playground": True}, "one worker"),
        ({"api_key": " "}, "blank"),
        ({"strong_mode": "a"}, "strong_mode"),
        ({"strong_upstream": "carrier pigeon"}, "strong_upstream"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_settings(flags, environ={})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("threshold: 30\n", "`threshold` must be at most 1, got 30. Did you mean 0.3?"),
        ("port: abc\n", "`port` must be a whole number, got 'abc'."),
        ("prot: 1\n", "`prot` is unknown. Did you mean 'port'?"),
        ("strong_tools: perhaps\n", "`strong_tools` must be true or false, got 'perhaps'."),
        ("strong_upstream: x\n", "must be 'auto', 'openai' or 'litellm', got 'x'."),
        ("strong_modalities: [smell]\n", "`strong_modalities.0` must be 'image', 'audio', "),
        ("api_key: 12345\n", "`api_key` must be a text, got a number."),
        ("mf: 3\n", "`router_options.mf` must be a mapping, got a number."),
        ("mf: {}\nrouter_options: 3\n", "`router_options` must be a mapping, got a number."),
        ("threshold: 0.3\nstrong_share: 0.3\n", "Pass `threshold` or `strong_share`, not both."),
        ("a: [1,\nb: }\n", "is not YAML: line 2, column 4: expected the node content"),
        ("", "must hold settings by name, got nothing."),
        ("a word", "must hold settings by name, got 'a word'."),
    ],
)
def test_a_fault_in_a_file_is_told_in_one_line_of_our_own_words(
    text: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings(config=file, environ={})
    said = str(caught.value)
    assert told in said
    assert "\n" not in said
    assert "Input should" not in said


def test_a_percentage_in_the_environment_is_answered_with_the_fraction() -> None:
    with pytest.raises(ConfigurationError, match=r"at most 1, got '30'\. Did you mean 0\.3\?"):
        read_settings(environ={"ROUTELLM_STRONG_SHARE": "30"})


@pytest.mark.parametrize("text", ["- a\n", "3: 4\n", "unknown_setting: 1\n"])
def test_a_file_of_another_form_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError):
        read_settings(config=file, environ={})


def test_a_router_that_is_not_registered_is_refused_before_serving() -> None:
    with pytest.raises(ConfigurationError, match="Unknown router 'nobody'"):
        create_app(read_settings({"routers": ["nobody"]}, environ={}))


def test_openais_own_models_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({"strong_model": "gpt-4o", "weak_model": "gpt-4o-mini"}, environ={})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="strong model 'gpt-4o' needs a key"):
        open_upstreams(settings)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert set(open_upstreams(settings)) == {"strong", "weak"}


def test_an_address_without_a_scheme_is_refused() -> None:
    flags = {"strong_model": "a", "weak_model": "b", "base_url": "localhost:8000/v1"}
    with pytest.raises(ConfigurationError, match="begin with http"):
        open_upstreams(read_settings(flags, environ={}))
