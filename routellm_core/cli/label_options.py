"""What the options of `routellm label` mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.labeling.asking import LiteLLMAsker
    from routellm_core.monitoring import Price

__all__ = ["asker_of", "examples_of", "models_of", "prices_of"]

_PER_MILLION = 1e6


def models_of(strong: str | None, weak: str | None, others: list[str] | None) -> tuple[str, ...]:
    """Return the models, of a pair the strong one first."""
    if (strong is None) != (weak is None):
        raise ConfigurationError("Name both `--strong` and `--weak`, or neither.")
    pair = () if strong is None or weak is None else (strong, weak)
    return (*pair, *(others or ()))


def examples_of(file: str | None) -> tuple[tuple[str, str], ...]:
    """Return the prompts of a file and their routes."""
    if file is None:
        return ()
    from routellm_core.evaluation.benchmarks.routes import read_labelled_prompts

    return tuple((row.prompt, row.label) for row in read_labelled_prompts(file))


def prices_of(given: list[str]) -> dict[str, Price]:
    """Return prices by model."""
    from routellm_core.monitoring import Price

    found = {}
    for text in given:
        name, equals, numbers = text.rpartition("=")
        read, colon, written = numbers.partition(":")
        try:
            usd = [float(one) / _PER_MILLION for one in (read, written)]
        except ValueError:
            usd = []
        if not (name and equals and colon and usd and all(0.0 <= one < math.inf for one in usd)):
            raise ConfigurationError(
                f"`--price` takes MODEL=IN:OUT in US dollars per million tokens, as "
                f"openai/my-model=0.5:1.5, got {text!r}."
            )
        found[name] = Price(name, *usd)
    return found


def asker_of(urls: list[str]) -> LiteLLMAsker:
    """Return what asks models at their addresses."""
    from routellm_core.labeling.asking import LiteLLMAsker

    common, own = None, {}
    for text in urls:
        name, equals, url = text.partition("=")
        if text.startswith(("http://", "https://")):
            common = text
        elif equals and url.startswith(("http://", "https://")):
            own[name] = url
        else:
            raise ConfigurationError(f"`--base-url` takes URL or MODEL=URL, got {text!r}.")
    return LiteLLMAsker(base_urls=own, base_url=common)
