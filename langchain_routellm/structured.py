"""Structured output: one chain per model, each as that model itself would build it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable

from langchain_routellm.batching import BatchDispatching
from langchain_routellm.calls import Call
from langchain_routellm.models import BackingModels
from langchain_routellm.reading import Asked, Structured
from langchain_routellm.routing import Routing

__all__ = ["RoutedRunnable", "structured_chains"]


class Owner(Protocol):
    """A routed model, as far as its structured output needs it."""

    def _routing(self) -> Routing: ...
    async def _arouting(self) -> Routing: ...
    def _backing(self) -> BackingModels: ...


class RoutedRunnable(BatchDispatching, Runnable[LanguageModelInput, Any]):
    """Answer from one of several chains, chosen as the routed model chooses its models.

    Parameters
    ----------
    owner
        The routed model, which decides.
    chains
        The chain by route; None where the model cannot do it.
    drafts
        By route, the chain for answers that may be rejected, which gives its raw message, too; None
        where there are none.
    schema
        What an answer must fit.
    include_raw
        Whether the caller takes the raw message.
    options
        The other arguments of `with_structured_output`.
    needs_tools
        Whether the chains call a tool to get their structure.
    """

    def __init__(
        self,
        owner: Owner,
        chains: Mapping[str, Runnable[Any, Any] | None],
        *,
        drafts: Mapping[str, Runnable[Any, Any] | None] | None,
        schema: Any,
        include_raw: bool,
        options: Mapping[str, Any],
        needs_tools: bool,
    ) -> None:
        self._owner = owner
        self._chains = chains
        self._drafts = drafts
        self._schema = schema
        self._include_raw = include_raw
        self._options = options
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

    def _asked(self, model_input: LanguageModelInput, kwargs: Mapping[str, Any]) -> Asked:
        return Asked(model_input, kwargs, self._schema)

    def _drafted(self, call: Call, answer: Any) -> Any:
        if call.is_draft and isinstance(answer, dict) and "parsing_error" in answer:
            return Structured(answer["raw"], answer["parsed"], answer["parsing_error"])
        return answer

    def _signed(self, call: Call, answer: Any) -> Any:
        if isinstance(answer, Structured):
            answer = answer.given(include_raw=self._include_raw)
        return call.signed(answer)

    def _streamed(
        self, call: Call, target: Runnable[Any, Any], model_input: Any, rest: dict[str, Any]
    ) -> Iterator[Any]:
        if not call.is_draft:
            return target.stream(model_input, call.config(), **rest)
        return iter([self._drafted(call, target.invoke(model_input, call.config(), **rest))])

    def _astreamed(
        self, call: Call, target: Runnable[Any, Any], model_input: Any, rest: dict[str, Any]
    ) -> AsyncIterator[Any]:
        if not call.is_draft:
            return target.astream(model_input, call.config(), **rest)
        return self._whole(call, target, model_input, rest)

    async def _whole(
        self, call: Call, target: Runnable[Any, Any], model_input: Any, rest: dict[str, Any]
    ) -> AsyncIterator[Any]:
        yield self._drafted(call, await target.ainvoke(model_input, call.config(), **rest))

    def _target(
        self, route: str, kwargs: dict[str, Any], *, draft: bool = False
    ) -> tuple[Runnable[Any, Any], dict[str, Any]]:
        own = self._owner._backing()
        models = own.for_call(kwargs)
        drafts = self._drafts if draft else None
        if models is own:
            chain = (self._chains if drafts is None else drafts)[route]
        else:
            is_draft = drafts is not None
            options = {**self._options, "include_raw": is_draft or self._include_raw or None}
            chain = structured_chains(models, self._schema, options, draft=is_draft)[route]
        if chain is None:
            raise NotImplementedError(
                f"The {route!r} model has no structured output. Route these calls to the other one."
            )
        return chain, own.taken(route, kwargs)


def structured_chains(
    models: BackingModels, schema: Any, options: Mapping[str, Any], *, draft: bool = False
) -> dict[str, Runnable[Any, Any] | None]:
    """Return each model's own structured-output chain; None where it has none.

    Parameters
    ----------
    models
        The models.
    schema
        As the user gave it.
    options
        The arguments of `with_structured_output`; those that are None are left out, because not
        every model takes every one.
    draft
        Whether the answers may be rejected.

    Raises
    ------
    NotImplementedError
        If no model has structured output.
    """
    given = {name: value for name, value in options.items() if value is not None}
    chains: dict[str, Runnable[Any, Any] | None] = {}
    refusal: NotImplementedError | None = None
    for route, model in (models.drafts if draft else models.models).items():
        try:
            chains[route] = model.with_structured_output(schema, **models.taken(route, given))
        except NotImplementedError as error:
            chains[route], refusal = None, error
    if refusal is not None and not any(chains.values()):
        raise refusal
    return chains
