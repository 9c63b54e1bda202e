"""What went wrong in a command, as one line for people."""

from __future__ import annotations

from routellm_core.errors import ConfigurationError, RouteLLMError

__all__ = ["failure_line", "misconfigured", "provider_words"]

# Whose errors are somebody's answer or network, rather than a bug of ours.
_PROVIDERS = frozenset(
    {"anthropic", "google", "httpcore", "httpx", "huggingface_hub", "litellm", "openai", "requests"}
)
_LONGEST = 400


def failure_line(error: BaseException) -> str | None:
    """Return one line about a failure; None for a bug, whose traceback is worth seeing.

    Failures are the project's own errors, files that cannot be read or written, and what a
    provider's library raises.
    """
    if isinstance(error, RouteLLMError):
        return _one_line(str(error))
    if type(error).__module__.partition(".")[0] in _PROVIDERS:
        return f"{type(error).__name__}: {provider_words(error)}"
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        where = f" {str(error.filename)!r}" if error.filename is not None else ""
        return _one_line(f"Cannot use{where or ' a file'}: {error.strerror or error}.")
    return None


def misconfigured(error: BaseException) -> ConfigurationError:
    """Return what a command says of a model that no call can reach as it is set up."""
    if isinstance(error, ConfigurationError):
        return error
    model = getattr(error, "model", None)
    which = f"Model {model!r}" if isinstance(model, str) and model else "A model"
    return ConfigurationError(
        f"{which} cannot be asked. {type(error).__name__}: {provider_words(error).rstrip('.')}. "
        "Check its name, and its key in the environment variable of its provider."
    )


def provider_words(error: BaseException) -> str:
    r"""Return what a provider's library says, in one line and once.

    LiteLLM puts the error's class before it twice, and sometimes a traceback behind it.

    Examples
    --------
    >>> provider_words(ValueError("litellm.ValueError: ValueError: no key\nTraceback ..."))
    'no key'
    """
    said = str(error).partition("Traceback (most recent call last)")[0]
    name = type(error).__name__
    said = _one_line(said).removeprefix(f"litellm.{name}: ").removeprefix(f"{name}: ")
    said = said.partition(" Traceback ")[0] or name
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST].rstrip()} ..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
