"""Ask another model what a call asked, in no handler's sight."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager

from llamaindex_routellm.copies import with_field
from llamaindex_routellm.drafts import answer_read
from llamaindex_routellm.messages import Words
from llamaindex_routellm.usage import usage_of
from routellm_core.plan import OtherAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.llms import LLM

    from llamaindex_routellm.directed import DirectedCall
    from llamaindex_routellm.drafts import Wanted

__all__ = ["asked_beside", "unseen"]

_CALLBACKS = "llama_index.core.llms.callbacks"
_ENDPOINTS = ("chat", "complete", "stream_chat", "stream_complete", "chat_with_tools")


def asked_beside(
    call: DirectedCall,
    conversation: Sequence[ChatMessage | Words],
    wanted: Wanted,
    settings: dict[str, Any],
) -> OtherAnswer:
    """Return what the model of a call that was never begun says.

    Parameters
    ----------
    call
        Directed to that model.
    conversation, wanted
        As for `DirectedCall`.
    settings
        The keyword arguments of the call that was answered.
    """
    model = unseen(call.backing)
    if wanted.template is not None:
        given = model._get_messages(wanted.template, **wanted.values)
    else:
        given = [
            ChatMessage(role=one.speaker, content=one.words) if isinstance(one, Words) else one
            for one in conversation
        ]
    messages, kept = call.adapted(given), call.kept(settings)
    if wanted.tools and "tools" not in kept:
        with_tools: Any = model
        answer = with_tools.chat_with_tools(list(wanted.tools), chat_history=messages, **kept)
    else:
        answer = model.chat(messages, **kept)
    return OtherAnswer(answer_read(answer), usage_of(answer))


def unseen(model: LLM) -> LLM:
    """Return a copy of a model that tells neither handlers nor instrumentation of a call.

    LlamaIndex's dispatchers are global, and the methods of each class are wrapped in what tells
    them. The copy's class puts every class's bare methods before the wrapped ones.
    """
    copied = with_field(model, "callback_manager", CallbackManager([]))
    copied.__class__ = _unseen_class(type(model))
    return copied


def _bare(method: Any) -> Any:
    """Return a method without what LlamaIndex wrapped it in: spans, and events of its callbacks."""
    while True:
        wrapper = getattr(method, "_self_wrapper", None)  # of `wrapt`
        if getattr(wrapper, "__module__", "").startswith("llama_index"):
            method = method.__wrapped__
        elif getattr(method, "__globals__", {}).get("__name__") == _CALLBACKS:
            method = inspect.getclosurevars(method).nonlocals["f"]
        else:
            return method


@cache
def _unseen_class(kind: type[LLM]) -> type[LLM]:
    bases = []
    for base in kind.__mro__:
        bare = {
            name: _bare(method)
            for name, method in vars(base).items()
            if name in _ENDPOINTS and _bare(method) is not method
        }
        if bare:
            shim: Any = type(base)(base.__name__, (base,), {"__module__": base.__module__})
            for (
                name,
                method,
            ) in bare.items():  # now, because a class wraps the methods it begins with
                setattr(shim, name, method)
            bases.append(shim)
    metaclass: Any = type(kind)
    made: type[LLM] = metaclass(kind.__name__, tuple(bases), {"__module__": kind.__module__})
    return made
