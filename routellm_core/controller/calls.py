"""One call of the Controller, before and between its attempts. Nothing here calls a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from routellm_core.controller.messages import offers_tools
from routellm_core.errors import ConfigurationError
from routellm_core.policy import Overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from routellm_core.controller.fleet import Fleet
    from routellm_core.experts import ExpertTable
    from routellm_core.plan import Attempts, Guards
    from routellm_core.policy import Decider, Turn
    from routellm_core.types import Decision, Usage

__all__ = ["Call", "Endpoint", "read_call"]


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Where a model is reached, as LiteLLM takes it.

    Parameters
    ----------
    api_base
        URL; None for the provider's own.
    api_key
        Secret; None for the one in the provider's environment variable. Never shown.
    """

    api_base: str | None = None
    api_key: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return LiteLLM's arguments for what is set."""
        given = {"api_base": self.api_base, "api_key": self.api_key}
        return {name: value for name, value in given.items() if value is not None}

    def or_else(self, other: Endpoint) -> Endpoint:
        """Return this endpoint, with the other's values for what is None."""
        return Endpoint(self.api_base or other.api_base, self.api_key or other.api_key)

    def __repr__(self) -> str:
        return f"Endpoint(api_base={self.api_base!r}, api_key={'***' if self.api_key else None})"


@dataclass(frozen=True, slots=True)
class Call:
    """Be a routed request: who decides it, about what, and what is sent.

    Parameters
    ----------
    decider, turn, overrides
        What the decision is made of.
    request
        The fields for the chosen model, without its name.
    """

    decider: Decider
    turn: Turn
    overrides: Overrides
    request: Mapping[str, Any]

    def kept(self) -> Call:
        """Return the call with messages of its own: its caller may add to the list."""
        messages = list(self.request["messages"])
        return replace(self, request={**self.request, "messages": messages})

    def attempts(
        self,
        decision: Decision,
        guards: Guards,
        *,
        worth_escalating: Callable[[BaseException], bool],
        started_s: float,
        on_answer: Callable[[str, str, Usage | None], None] | None = None,
    ) -> Attempts:
        """Return the machine that follows this call; LiteLLM retries by itself."""
        return guards.begin(
            decision,
            decider=self.decider,
            worth_escalating=worth_escalating,
            text=self.turn.text,
            started_s=started_s,
            on_answer=on_answer,
        )


def read_call(
    fleet: Fleet, request: Mapping[str, Any], *, router: str | None, threshold: float | None
) -> Call | None:
    """Return the call that the arguments mean; None when they name a model to be asked as it is.

    Raises
    ------
    ConfigurationError
        If neither a model nor a router and a threshold are given, or one has a wrong value.
    UnknownRouterError
        If the router is not loaded.
    """
    fields = dict(request)
    model = fields.pop("model", None)
    messages = fields.get("messages")
    if not isinstance(messages, list):
        raise ConfigurationError(f"`messages` must be a list, got {type(messages).__name__}.")
    if model is None:
        if router is None or threshold is None:
            raise ConfigurationError(
                "Pass `model`, as in 'router-mf-0.116', or both `router` and `threshold`; got "
                f"`router` {router!r} and `threshold` {threshold!r}."
            )
        decider, overrides = fleet.wish(router, threshold=threshold)
    elif fleet.is_routed(str(model)):
        decider, overrides = fleet.plan(str(model))
    else:
        return None
    if fleet.experts.own_effort(fields):
        overrides = replace(overrides, own_effort=True)
    tools = offers_tools(fields)
    turn = fleet.turn(messages, tools=tools, decider=decider, overrides=overrides)
    return Call(decider, turn, overrides, fields)


def resolved_endpoints(
    experts: ExpertTable, default: Endpoint, given: Mapping[str, Endpoint | Mapping[str, str]]
) -> dict[str, Endpoint]:
    """Return where each expert is reached.

    Parameters
    ----------
    experts
        All of them.
    default
        Fills in what is not given.
    given
        For some of them, an `Endpoint` or its arguments.

    Raises
    ------
    ConfigurationError
        If a name is no expert's, or a value is no endpoint.
    """
    stated: dict[str, Endpoint] = {}
    for name, value in given.items():
        experts.check(name, argument="endpoints")
        if not isinstance(value, Endpoint):
            # The value may hold a key: it is not shown.
            if not isinstance(value, dict) or not value.keys() <= {"api_base", "api_key"}:
                raise ConfigurationError(
                    f"The endpoint of expert {name!r} must be an `Endpoint`, or a mapping with "
                    "`api_base`, `api_key` or both."
                )
            value = Endpoint(**value)
        stated[name] = value
    return {name: stated.get(name, default).or_else(default) for name in experts.names}
