"""Say which extra to install when LangChain is missing, before any other module fails on it."""

from routellm_core import MissingDependencyError

__all__: list[str] = []

try:
    import langchain.agents.middleware  # noqa: F401
    import langchain_core.language_models  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        f"`{error.name}` is not installed. "
        "Install it with `pip install 'routellm-plugins[langchain]'`.",
        name=error.name,
    ) from error
