import subprocess
import sys

import pytest

from routellm_core.monitoring import Price, price_of


def test_a_call_costs_its_tokens_times_their_prices() -> None:
    price = Price("m", input_usd=1e-6, output_usd=1e-5)
    assert price.cost_usd(input_tokens=1_000, output_tokens=100) == pytest.approx(0.002)


@pytest.mark.parametrize("name", ["gpt-4o", "openai/gpt-4o", "openai:gpt-4o"])
def test_one_model_has_one_price_however_it_is_written(name: str) -> None:
    price = price_of(name)
    assert price is not None
    assert price == price_of("gpt-4o")
    assert 0.0 < price.input_usd < price.output_usd < 1e-3


@pytest.mark.parametrize(
    ("langchain", "litellm"),
    [
        ("google_genai:gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("mistralai:mistral-large-latest", "mistral/mistral-large-latest"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("azure_openai:gpt-4o", "azure/gpt-4o"),
    ],
)
def test_langchain_provider_names_find_litellm_prices(langchain: str, litellm: str) -> None:
    assert price_of(langchain) is not None
    assert price_of(langchain) == price_of(litellm)


@pytest.mark.parametrize(
    "name", ["no-such-model", "", "openai:", "openai/", "strong", "sample_spec"]
)
def test_an_unknown_model_has_no_price_rather_than_zero(name: str) -> None:
    assert price_of(name) is None


@pytest.mark.parametrize("name", ["my_host/gpt-4o", "my_host:gpt-4o", "ollama:gpt-4o"])
def test_another_host_of_a_known_model_has_no_known_price(name: str) -> None:
    assert price_of(name) is None


def test_a_model_without_token_prices_has_no_price() -> None:
    assert price_of("dall-e-3") is None


def test_a_price_needs_neither_a_network_nor_the_import_of_litellm() -> None:
    code = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)\n"
        "from routellm_core.monitoring import price_of\n"
        "assert price_of('gpt-4o') is not None\n"
        "assert 'litellm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_litellm_a_price_says_which_extra_brings_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['litellm'] = None\n"
        "from routellm_core.errors import MissingDependencyError\n"
        "from routellm_core.monitoring import price_of\n"
        "try:\n"
        "    price_of('gpt-4o')\n"
        "except MissingDependencyError as error:\n"
        "    assert 'routellm-plugins[litellm]' in str(error), error\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
