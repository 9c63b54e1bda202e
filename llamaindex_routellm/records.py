"""The records that a response carries: one for each routed model that it came through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from llamaindex_routellm.copies import with_field
from routellm_core import RECORD_KEY

if TYPE_CHECKING:
    from routellm_core import DecisionRecord

__all__ = ["INNER_KEY", "record_of", "stamped", "without_record"]

T = TypeVar("T")

INNER_KEY = f"{RECORD_KEY}_inner"
"""Holds the records of the routed models behind another one, the outermost of them first."""

_RESPONSES = (ChatResponse, CompletionResponse)


def stamped(response: T, record: DecisionRecord) -> T:
    """Return a copy of a response that carries a record; anything else as it is.

    The records that it carries already stay behind this one.
    """
    # By type first: for pydantic's classes `isinstance` costs more than the copy.
    if type(response) in _RESPONSES or isinstance(response, _RESPONSES):
        before: dict[str, Any] = response.additional_kwargs or {}  # type: ignore[attr-defined]
        carried = {**before, RECORD_KEY: record}
        if RECORD_KEY in before:
            carried[INNER_KEY] = [before[RECORD_KEY], *before.get(INNER_KEY, ())]
        return with_field(response, "additional_kwargs", carried)  # type: ignore[type-var]
    return response


def record_of(response: ChatResponse) -> dict[str, Any] | None:
    """Return the outermost record that a response carries, unchecked."""
    record = (response.additional_kwargs or {}).get(RECORD_KEY)
    return record if isinstance(record, dict) else None


def without_record(response: ChatResponse) -> ChatResponse:
    """Return a response as the model that answered gave it, with the records that it wrote."""
    carried = dict(response.additional_kwargs or {})
    carried.pop(RECORD_KEY, None)
    inner = carried.pop(INNER_KEY, None)
    if isinstance(inner, list) and inner:
        carried[RECORD_KEY], *further = inner
        if further:
            carried[INNER_KEY] = further
    return with_field(response, "additional_kwargs", carried)
