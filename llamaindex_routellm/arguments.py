"""The models among a routed model's arguments, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llamaindex_routellm.backing import resolve_backing
from llamaindex_routellm.variants import varied
from routellm_core import ConfigurationError, check_drop_params
from routellm_core.experts import check_answer_tokens, model_and_settings, sets_effort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.llms import LLM

__all__ = ["MODEL_FIELDS", "PAIR", "check_models", "checked"]

PAIR = ("strong", "weak")
MODEL_FIELDS = ("strong", "weak", "experts")
_TRIES = 3


def checked(name: str, value: Any, *, fallback: bool = True, routes: Sequence[str] = PAIR) -> Any:
    """Return the value of a field: a model for its name, and lists of what is left out."""
    if name in ("strong", "weak"):
        if value is None:
            return None
        max_tries = 1 if name == "weak" and fallback else _TRIES
        return _resolved(value, name=name, max_tries=max_tries)
    if name == "experts" and value is not None:
        last = next(reversed(value))
        return {
            expert: _resolved(
                model,
                name=f"experts[{expert!r}]",
                max_tries=1 if expert != last and fallback else _TRIES,
            )
            for expert, model in value.items()
        }
    if name == "drop_params":
        checked = check_drop_params(value, routes=routes)
        return {route: sorted(names) for route, names in checked.items()}
    if name == "answer_tokens":
        check_answer_tokens(value, routes=routes)
    return value


def _resolved(value: Any, *, name: str, max_tries: int) -> LLM:
    """Return a model for a model, its name, or a `Variant` of either."""
    model, settings = model_and_settings(value)
    if isinstance(model, str) and sets_effort(settings):
        # Models that think refuse the temperature of 0.1 that LlamaIndex would send.
        settings = {"temperature": 1.0, **settings}
    llm = resolve_backing(model, name=name, max_tries=max_tries)
    return varied(llm, settings, name=name) if settings else llm


def check_models(strong: Any, weak: Any, experts: Any) -> None:
    """Refuse anything but a pair, or experts by name."""
    if experts is None:
        for name, model in (("strong", strong), ("weak", weak)):
            if model is None:
                raise ConfigurationError(
                    f"`{name}` is missing. Pass `strong` and `weak`, or `experts`."
                )
        return
    if strong is not None or weak is not None:
        raise ConfigurationError("Pass `strong` and `weak`, or `experts`, not both.")
    if not isinstance(experts, Mapping) or not experts:
        raise ConfigurationError(
            f"`experts` must map at least one name to a model, the cheapest first, got {experts!r}."
        )
