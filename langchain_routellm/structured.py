"""Structured output: one chain per model, each as that model itself would build it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable

from langchain_routellm.batching import BatchDispatching
from langchain_routellm.pair import BackingPair
from langchain_routellm.routing import Routing

__all__ = ["RoutedRunnable", "structured_chains"]


class Owner(Protocol):
    """A routed model, as far as its structured output needs it."""

    def _routing(self) -> Routing: ...
    async def _arouting(self) -> Routing: ...
    def _backing(self) -> BackingPair: ...


class RoutedRunnable(BatchDispatching, Runnable[LanguageModelInput, Any]):
    """Answer from one of two chains, chosen as the routed model chooses its models.

    Parameters
    ----------
    owner
        The routed model, which decides.
    chains
        The chain by route; None where the model cannot do it.
    needs_tools
        Whether the chains call a tool to get their structure.
    """

    def __init__(
        self,
        owner: Owner,
        chains: Mapping[str, Runnable[Any, Any] | None],
        *,
        needs_tools: bool,
    ) -> None:
        self._owner = owner
        self._chains = chains
        self._needs_tools = needs_tools

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """What the chains return."""
        return next(chain.OutputType for chain in self._chains.values() if chain is not None)

    def _routing(self) -> Routing:
        return self._owner._routing()

    async def _arouting(self) -> Routing:
        return await self._owner._arouting()

    def _offers_tools(self, kwargs: Mapping[str, Any]) -> bool:
        return self._needs_tools or super()._offers_tools(kwargs)

    def _target(
        self, route: str, kwargs: dict[str, Any]
    ) -> tuple[Runnable[Any, Any], dict[str, Any]]:
        chain = self._chains[route]
        if chain is None:
            raise NotImplementedError(
                f"The {route!r} model has no structured output. Route these calls to the other one."
            )
        return chain, self._owner._backing().taken(route, kwargs)


def structured_chains(
    pair: BackingPair, schema: Any, options: Mapping[str, Any]
) -> dict[str, Runnable[Any, Any] | None]:
    """Return each model's own structured-output chain; None where it has none.

    Parameters
    ----------
    pair
        The models.
    schema
        As the user gave it.
    options
        The arguments of `with_structured_output`; those that are None are left out, because not
        every model takes every one.

    Raises
    ------
    NotImplementedError
        If no model has structured output.
    """
    given = {name: value for name, value in options.items() if value is not None}
    chains: dict[str, Runnable[Any, Any] | None] = {}
    refusal: NotImplementedError | None = None
    for route, model in pair.models.items():
        try:
            chains[route] = model.with_structured_output(schema, **pair.taken(route, given))
        except NotImplementedError as error:
            chains[route], refusal = None, error
    if refusal is not None and not any(chains.values()):
        raise refusal
    return chains
