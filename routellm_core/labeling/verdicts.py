"""Ask a judge, and once more where its verdict cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from routellm_core.labeling.calls import Call, Plan, user_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["verdict_call", "verdicts_plan"]

V = TypeVar("V")

_MAX_TOKENS = 64


def verdict_call(judge: str, text: str, *, template: str) -> Call:
    """Return the call that asks a judge."""
    return Call(judge, (user_message(text),), _MAX_TOKENS, purpose="verdict", template=template)


def verdicts_plan(
    calls: Sequence[Call], read: Callable[[str], V | None], *, form: str
) -> Plan[list[V | None]]:
    """Plan verdicts; the plan returns None for each that could not be read or did not come.

    Parameters
    ----------
    calls
        Of the judge.
    read
        Returns the verdict in a text, None where it holds none.
    form
        What the repair asks for.
    """
    replies = yield calls
    verdicts = [None if reply is None else read(reply.text) for reply in replies]
    repairs = {
        place: _repair(calls[place], reply.text, form)
        for place, (reply, verdict) in enumerate(zip(replies, verdicts, strict=True))
        if reply is not None and verdict is None
    }
    if repairs:
        repaired = yield list(repairs.values())
        for place, reply in zip(repairs, repaired, strict=True):
            verdicts[place] = None if reply is None else read(reply.text)
    return verdicts


def _repair(call: Call, text: str, form: str) -> Call:
    said = {"role": "assistant", "content": text[:2000] or "(nothing)"}
    again = user_message(f"That cannot be read. Answer with nothing but {form}.")
    return Call(
        call.model, (*call.messages, said, again), call.max_tokens, call.purpose,
        f"{call.template}/repair",
    )  # fmt: skip
