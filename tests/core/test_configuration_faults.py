"""A model that cannot be asked as it is set up: seen by the caller, never passed over."""

import os

import pytest

from routellm_core.experts import ExpertTable
from routellm_core.plan import (
    Attempts,
    Breaker,
    BreakerSettings,
    RetrySettings,
    escalation_filter,
)
from routellm_core.policy import fault_of
from routellm_core.types import Decision

# One provider for each way in which LiteLLM 1.110 reports what is missing before it sends anything.
UNREADY = [
    "openai/gpt-4o-mini",
    "gpt-4o-mini",
    "openai/no-such-model",
    "gemini/gemini-2.0-flash",
    "anthropic/claude-3-5-haiku-latest",
    "azure/my-deployment",
    "azure_ai/my-model",
    "perplexity/sonar",
    "fireworks_ai/llama",
    "watsonx/granite",
    "voyage/x",
    "anyscale/llama",
    "no-such-model",
]


@pytest.fixture
def without_keys(monkeypatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_KEY", "_TOKEN")) or name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@pytest.mark.parametrize("model", UNREADY)
def test_litellm_without_credentials_or_provider_is_a_configuration_fault(
    without_keys, model
) -> None:
    litellm = pytest.importorskip("litellm")
    with pytest.raises(Exception) as caught:
        litellm.completion(
            model=model, messages=[{"role": "user", "content": "Hi"}], max_retries=0, timeout=5
        )
    assert fault_of(caught.value) == "configuration"


class ProviderError(Exception):
    def __init__(self, message, status_code=None):
        super().__init__(message)
        self.status_code = status_code


class NoCredentialsError(Exception):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("API key not valid. Please pass a valid API key.", 400),
        ProviderError("The model `gpt-5-tiny` does not exist", 404),
        ProviderError("Incorrect API key provided: sk-***", 401),
        ProviderError("Google Cloud SDK not found. Install it with: pip install x", 500),
        ProviderError("the databricks-sdk Python library must be installed", 400),
        ProviderError("Your default credentials were not found."),
        NoCredentialsError("Unable to locate credentials"),
        ModuleNotFoundError("No module named 'boto3'"),
    ],
)
def test_refused_keys_unknown_models_and_missing_libraries_are_configuration(error) -> None:
    assert fault_of(error) == "configuration"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ProviderError("The server had an error", 500), "transient"),
        (ProviderError("Connection error.", 500), "transient"),
        (ProviderError("Missing credentials", 503), "transient"),
        (ProviderError("Missing required parameter: 'messages'", 400), "request"),
        (ProviderError("Your input was flagged", 403), "request"),
        (ValueError("Missing API key"), "unknown"),
    ],
)
def test_other_faults_stay_what_they_were(error, fault) -> None:
    assert fault_of(error) == fault


def decision(route: str) -> Decision:
    return Decision(
        route=route, model=route, win_rate=0.1, threshold=0.5, router="random", reason="threshold"
    )


PAIR = ExpertTable.of_pair(strong_model="strong", weak_model="weak")


@pytest.mark.parametrize("route", ["weak", "strong"])
def test_a_configuration_fault_is_final_recorded_and_not_counted_by_a_breaker(route) -> None:
    breaker = Breaker(BreakerSettings(failures=1))
    endings = []
    attempts = Attempts(
        decision(route),
        experts=PAIR,
        worth_escalating=escalation_filter(None),
        retry=RetrySettings(retries=3),
        breakers={route: breaker},
        on_end=lambda attempts, outcome, usage, error: endings.append((outcome, error)),
    )
    error = ProviderError("Missing credentials. Please pass an `api_key`.", 500)
    assert not attempts.failed(error)
    assert endings == [("failed", error)]
    assert [(f.route, f.error) for f in attempts.failures] == [(route, "ProviderError")]
    assert breaker.state == "closed"


def test_the_strong_models_configuration_fault_is_raised_with_the_weak_ones_error() -> None:
    attempts = Attempts(decision("weak"), experts=PAIR, worth_escalating=escalation_filter(None))
    weak, strong = ProviderError("Overloaded", 503), ProviderError("Missing credentials", 500)
    assert attempts.failed(weak)
    assert not attempts.failed(strong)
    assert strong.__context__ is weak
