"""One record per call: what was decided, what happened, what it cost and what it saved."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from routellm_core.errors import DataError
from routellm_core.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CallRecord", "json_of"]

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Be everything that is known of one call after its end.

    Costs are those of the answer that was kept: what a failed attempt was charged, its provider
    does not say.

    Parameters
    ----------
    call_id
        Unique to the call.
    started_at
        When deciding began, in seconds since 1970, UTC.
    outcome
        "answered", "failed", "abandoned" by the caller, or "refused" by a breaker or a budget.
    route, model, reason
        Of the attempt that ended the call; see `Decision`.
    decided_route, decided_reason
        Of the decision that the call began with, before any escalation.
    win_rate, threshold, router
        See `Decision`.
    cache
        How the models' prompt caches moved the decision: "model", "share", "estimated" and, where
        the threshold moved, "shift"; None where they did not.
    checkpoint
        Which weights the router has; None when it has none or does not say.
    strong_model, weak_model
        Names of the pair.
    decision_ms, call_ms
        Duration of the decision, and of everything from its begin to the end of the answer.
    first_chunk_ms
        From the begin to the first content of a stream; None for whole answers.
    attempts
        How many times a model was asked.
    failures
        "route:error class" of each attempt that failed, in order.
    error
        Class of the error that reached the caller.
    partial
        Whether the caller has the beginning of an answer whose end did not come.
    answered_model
        The model's name in the answer.
    input_tokens, output_tokens
        As counted by the provider; None when they were not.
    reasoning_tokens
        Those of `output_tokens` that went into thinking; None when the provider does not say.
    cached_tokens, cache_write_tokens
        How many of `input_tokens` the provider read from its prompt cache, and wrote to it; None
        when it did not say.
    cost_usd
        Price of the answer, in US dollars; None, never 0, when a price or a count is unknown.
    router_usd
        Price of the decision.
    drafts_usd
        Price of the drafts that were rejected; None where no strategy drafts, or when unknown.
    verifiers_usd
        Price of what verifiers asked of models, such as a judge's verdicts and further samples;
        None where none did, or when unknown.
    strong_usd
        What the call would have cost at the strong model: the same tokens, cached as they were, or
        as many more as that model is expected to write; None when unknown.
    saved_usd
        `strong_usd` less `cost_usd`, `router_usd`, `drafts_usd` and `verifiers_usd`; None when one
        is unknown, or no answer came.
    prompt_hash
        Keyed digest of the routed text, equal for equal texts under one key.
    prompt_chars
        Length of the routed text.
    prompt
        The routed text or its beginning; None unless keeping it was asked for.
    shadow_share
        Of a sampled call, after which another model was to be asked, too: how probable that was.
        See `ShadowRecord`.
    steps
        Of a call that followed a strategy's plan, each step, and before it what its verifier asked
        ("verdict", "sample"): "expert", "model", "outcome", and as far as they are known "score",
        "ms", "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens",
        "cache_write_tokens" and "cost_usd".
    """

    call_id: str
    started_at: float
    outcome: Outcome
    route: str
    model: str
    reason: str
    decided_route: str
    decided_reason: str
    win_rate: float | None
    threshold: float | None
    router: str
    checkpoint: str | None = None
    strong_model: str = ""
    weak_model: str = ""
    decision_ms: float = 0.0
    call_ms: float = 0.0
    first_chunk_ms: float | None = None
    attempts: int = 1
    failures: tuple[str, ...] = ()
    error: str | None = None
    partial: bool = False
    answered_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: float | None = None
    router_usd: float = 0.0
    drafts_usd: float | None = None
    verifiers_usd: float | None = None
    strong_usd: float | None = None
    saved_usd: float | None = None
    prompt_hash: str | None = None
    prompt_chars: int = 0
    prompt: str | None = None
    shadow_share: float | None = None
    steps: tuple[Mapping[str, Any], ...] | None = None
    cache: Mapping[str, Any] | None = None

    def values(self) -> dict[str, Any]:
        """Return the record's fields, and the format's version as "v"."""
        values: dict[str, Any] = {"v": FORMAT_VERSION}
        for name in _NAMES:
            value = getattr(self, name)
            if name not in _OPTIONAL or value is not None:
                values[name] = value
        return values

    def to_json(self) -> str:
        """Return the record as one line of JSON, without its line break."""
        return json_of(self.values())

    @classmethod
    def from_json(cls, line: str | bytes) -> CallRecord:
        """Return the record that `to_json` wrote; fields of later versions are left out.

        Raises
        ------
        DataError
            If the line is no record.
        """
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"Not a call record: {error}.") from None
        if not isinstance(values, dict):
            raise DataError(f"Not a call record: {type(values).__name__} instead of an object.")
        return cls(**_checked(values))


json_of = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
"""Encode a value; in ASCII, so that no control character and no half surrogate gets through."""

_NAMES = tuple(field.name for field in fields(CallRecord))
_TYPES = {field.name: str(field.type) for field in fields(CallRecord)}
_OPTIONAL = frozenset(
    {
        "prompt",
        "error",
        "first_chunk_ms",
        "answered_model",
        "checkpoint",
        "steps",
        "drafts_usd",
        "cache",
        "reasoning_tokens",
        "shadow_share",
        "cached_tokens",
        "cache_write_tokens",
        "verifiers_usd",
    }
)
_REQUIRED = (
    "call_id", "started_at", "outcome", "route", "model", "reason", "decided_route",
    "decided_reason", "win_rate", "threshold", "router",
)  # fmt: skip
_ACCEPTS: Mapping[str, frozenset[type]] = {
    "str": frozenset({str}),
    "float": frozenset({float, int}),
    "int": frozenset({int}),
    "bool": frozenset({bool}),
    "None": frozenset({type(None)}),
    "tuple[str, ...]": frozenset({list}),
    "tuple[Mapping[str, Any], ...]": frozenset({list}),
    "Mapping[str, Any]": frozenset({dict}),
    "Outcome": frozenset({str}),
}
# What JSON makes of each field; exactly these classes, for `bool` is a subclass of `int`.
_KINDS = {
    name: frozenset[type]().union(*(_ACCEPTS[part] for part in stated.split(" | ")))
    for name, stated in _TYPES.items()
}


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, kinds in _KINDS.items():
        if name not in values:
            continue
        value = values[name]
        if type(value) not in kinds:
            raise DataError(f"`{name}` must be {_TYPES[name]}, got {type(value).__name__}.")
        checked[name] = value
    missing = [name for name in _REQUIRED if name not in checked]
    if missing:
        raise DataError(f"Not a call record: {', '.join(f'`{name}`' for name in missing)} missing.")
    if checked["outcome"] not in get_args(Outcome):
        raise DataError(f"`outcome` must be one of {get_args(Outcome)}, got {values['outcome']!r}.")
    if "failures" in checked:
        checked["failures"] = tuple(str(failure) for failure in checked["failures"])
    if checked.get("steps") is not None:
        if not all(isinstance(step, dict) for step in checked["steps"]):
            raise DataError("`steps` must be a list of objects.")
        checked["steps"] = tuple(checked["steps"])
    return checked
