"""A model that certainly cannot be asked is refused when it is built, in one sentence."""

import os
import subprocess
import sys

import pytest

from routellm_core import ConfigurationError, check_model

KEYS = {
    "anthropic/claude-haiku": "ANTHROPIC_API_KEY",
    "cohere/command-r": "COHERE_API_KEY",
    "fireworks_ai/llama": "FIREWORKS_API_KEY",
    "gemini/gemini-2.0-flash": "GEMINI_API_KEY",
    "groq/llama": "GROQ_API_KEY",
    "mistral/small": "MISTRAL_API_KEY",
    "openai/gpt-4o-mini": "OPENAI_API_KEY",
    "openrouter/openai/gpt-4o": "OPENROUTER_API_KEY",
    "perplexity/sonar": "PERPLEXITY_API_KEY",
    "together_ai/llama": "TOGETHERAI_API_KEY",
}


@pytest.fixture(autouse=True)
def without_keys(monkeypatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_KEY", "_TOKEN", "_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@pytest.mark.parametrize("model", KEYS)
def test_a_missing_key_is_refused_with_the_name_of_its_variable(model) -> None:
    with pytest.raises(ConfigurationError, match=KEYS[model]) as caught:
        check_model(model, role="weak")
    assert model in str(caught.value)
    assert "`weak`" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", KEYS)
def test_a_key_or_an_address_however_given_is_accepted(model, monkeypatch) -> None:
    check_model(model, role="weak", api_key="key")
    check_model(model, role="weak", base_url="http://127.0.0.1:1/v1")
    monkeypatch.setenv(KEYS[model], "key")
    check_model(model, role="weak")


def test_an_address_in_the_environment_has_rules_of_its_own(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    check_model("openai/gpt-4o", role="weak")


@pytest.mark.parametrize(
    "model",
    ["azure/x", "bedrock/x", "vertex_ai/x", "ollama/llama3", "hosted_vllm/x", "plain-name"],
)
def test_providers_with_other_ways_to_credentials_are_left_to_the_call(model) -> None:
    pytest.importorskip("litellm")
    check_model(model, role="weak")


@pytest.mark.parametrize(("model", "hint"), [("anyscale/x", ""), ("opnai/x", "Did you mean")])
def test_a_provider_that_litellm_does_not_know_is_refused(model, hint) -> None:
    pytest.importorskip("litellm")
    with pytest.raises(ConfigurationError, match="knows no provider") as caught:
        check_model(model, role="strong")
    assert hint in str(caught.value)


def test_an_unknown_provider_is_told_without_litellms_advice(capsys) -> None:
    pytest.importorskip("litellm")
    with pytest.raises(ConfigurationError):
        check_model("anyscale/x", role="strong")
    assert capsys.readouterr() == ("", "")


def langchain(**models):
    from langchain_routellm import RoutedChatModel

    return RoutedChatModel(router="random", threshold=0.5, **models)


def llamaindex(**models):
    from llamaindex_routellm import RoutedLLM

    return RoutedLLM(router="random", threshold=0.5, **models)


def controller(**models):
    from routellm_core.controller import Controller

    return Controller(["random"], **{f"{role}_model": name for role, name in models.items()})


def server(**models):
    from routellm_core.server.app import open_upstreams
    from routellm_core.server.settings import ServerSettings

    names = {f"{role}_model": name for role, name in models.items()}
    return open_upstreams(
        ServerSettings(**names, strong_upstream="litellm", weak_upstream="litellm")
    )


@pytest.mark.parametrize("build", [langchain, llamaindex, server])
@pytest.mark.parametrize("role", ["strong", "weak"])
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gemini/gemini-2.0-flash", "anyscale/x"])
def test_every_way_in_refuses_it_when_it_is_built(build, role, model) -> None:
    other = "weak" if role == "strong" else "strong"
    with pytest.raises(ConfigurationError, match=model):
        build(**{role: model, other: "ollama/llama3"})


@pytest.mark.parametrize("role", ["strong", "weak"])
def test_a_controller_refuses_an_unknown_provider_but_scores_without_a_key(role) -> None:
    other = "weak" if role == "strong" else "strong"
    with pytest.raises(ConfigurationError, match="anyscale/x"):
        controller(**{role: "anyscale/x", other: "ollama/llama3"})
    client = controller(strong="openai/a", weak="openai/b")
    assert len(client.batch_calculate_win_rate(["Hi"], "random")) == 1


def test_init_chat_models_missing_key_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="openai:gpt-4o-mini") as caught:
        langchain(strong="ollama/llama3", weak="openai:gpt-4o-mini")
    assert "\n" not in str(caught.value)


OFFLINE = """
import socket
asked = []
def refuse(host, *rest, **named):
    asked.append(host)
    raise OSError("no network here")
socket.getaddrinfo = refuse
{build}
assert not asked, asked
"""


@pytest.mark.parametrize(
    "build",
    [
        "from langchain_routellm import RoutedChatModel as Routed",
        "from llamaindex_routellm import RoutedLLM as Routed",
    ],
)
def test_a_litellm_model_is_made_without_a_network(build, monkeypatch) -> None:
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    made = build + "\nRouted(strong='openai/a', weak='openai/b', router='random', threshold=0.5)"
    code = OFFLINE.format(build=made)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
