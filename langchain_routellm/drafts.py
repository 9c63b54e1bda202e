"""Who sees a draft: tracers and counters at once, everybody else when it is accepted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from langchain_core.caches import BaseCache
from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import LLMResult
from langchain_core.tracers.base import BaseTracer

from langchain_routellm.watching import shows_tokens

__all__ = ["DRAFT_TAG", "DraftCache", "Recording", "draft_model", "parted", "recording_for"]

DRAFT_TAG = "routellm:draft"

_MAX_HELD = 64

_IGNORED_BY = {
    "on_chain_start": "ignore_chain",
    "on_chain_end": "ignore_chain",
    "on_chain_error": "ignore_chain",
    "on_chat_model_start": "ignore_chat_model",
    "on_llm_new_token": "ignore_llm",  # nosec B105 - a token of an answer
    "on_stream_event": "ignore_llm",
    "on_llm_end": "ignore_llm",
    "on_llm_error": "ignore_llm",
}
"""The events of a draft's runs, each with the attribute by which a handler ignores it."""


class _Entry(NamedTuple):
    """What a model would have written to its cache."""

    cache: BaseCache
    prompt: str
    settings: str
    generations: Sequence[Any]


class DraftCache(BaseCache):
    """Read a model's cache, and keep what would be written until a draft is accepted.

    Parameters
    ----------
    cache
        The model's own; None for the global one, as it is at each call.
    """

    def __init__(self, cache: BaseCache | None) -> None:
        self._cache = cache
        self._held: OrderedDict[int, _Entry] = OrderedDict()

    def lookup(self, prompt: str, llm_string: str) -> Any:
        """Return what the cache holds."""
        cache = self._real()
        return None if cache is None else cache.lookup(prompt, llm_string)

    async def alookup(self, prompt: str, llm_string: str) -> Any:
        """Return what the cache holds."""
        cache = self._real()
        return None if cache is None else await cache.alookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """Keep what would be written."""
        cache = self._real()
        if cache is not None and return_val:
            self._held[id(return_val[0])] = _Entry(cache, prompt, llm_string, return_val)
            while len(self._held) > _MAX_HELD:
                self._held.popitem(last=False)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """Keep what would be written."""
        self.update(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Clear the cache."""
        cache = self._real()
        if cache is not None:
            cache.clear(**kwargs)

    def taken(self, generation: Any) -> _Entry | None:
        """Return what would have been written for an answer, and keep it no longer."""
        return self._held.pop(id(generation), None)

    def _real(self) -> BaseCache | None:
        return get_llm_cache() if self._cache is None else self._cache


class Recording(BaseCallbackHandler):
    """Record a draft's runs, and show them when the draft is accepted.

    Parameters
    ----------
    hidden
        The call's handlers that do not see drafts.
    models_hidden
        Those of the model, which see its run alone.
    cache
        Keeps what the model would write to its cache.
    """

    run_inline = True  # in the call's own thread, and before its answer is handed on

    def __init__(
        self,
        hidden: Sequence[BaseCallbackHandler],
        models_hidden: Sequence[BaseCallbackHandler] = (),
        cache: DraftCache | None = None,
    ) -> None:
        self._hidden = list(hidden)
        self._models_hidden = list(models_hidden)
        self._cache = cache
        self._events: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._entries: list[_Entry] = []

    def note(self, event: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Note one event of a run."""
        if event == "on_llm_end" and self._cache is not None:
            self._take_entries(arguments[0])
        if self._hidden or self._models_hidden:
            if "tags" in options:
                tags = [tag for tag in options["tags"] or () if tag != DRAFT_TAG]
                options = {**options, "tags": tags}
            self._events.append((event, arguments, options))

    def show(self) -> None:
        """Show the recorded runs, and write to the model's cache."""
        for handlers, event, arguments, options in self._shown():
            handle_event(handlers, event, _IGNORED_BY[event], *arguments, **options)
        for entry in self._entries:
            entry.cache.update(entry.prompt, entry.settings, entry.generations)

    async def ashow(self) -> None:
        """Show the recorded runs, and write to the model's cache."""
        for handlers, event, arguments, options in self._shown():
            await ahandle_event(handlers, event, _IGNORED_BY[event], *arguments, **options)
        for entry in self._entries:
            await entry.cache.aupdate(entry.prompt, entry.settings, entry.generations)

    def _shown(self) -> Any:
        for event, arguments, options in self._events:
            only = [] if event.startswith("on_chain") else self._models_hidden
            yield [*self._hidden, *only], event, arguments, options

    def _take_entries(self, response: LLMResult) -> None:
        assert self._cache is not None  # noqa: S101 - the caller has looked
        for generations in response.generations:
            entry = self._cache.taken(generations[0]) if generations else None
            if entry is not None:
                self._entries.append(entry)


def _noting(event: str) -> Callable[..., None]:
    def note(self: Recording, *arguments: Any, **options: Any) -> None:
        self.note(event, arguments, options)

    return note


for _event in _IGNORED_BY:
    setattr(Recording, _event, _noting(_event))


class _StreamedRecording(Recording):
    """Record a draft for a handler for which a model streams: so the draft is streamed, too."""

    def tap_output_iter(self, run_id: Any, output: Any) -> Any:  # noqa: ARG002
        """Return a run's chunks as they are."""
        return output

    def tap_output_aiter(self, run_id: Any, output: Any) -> Any:  # noqa: ARG002
        """Return a run's chunks as they are."""
        return output


def recording_for(
    hidden: Sequence[BaseCallbackHandler], model: BaseChatModel, given: BaseChatModel
) -> Recording:
    """Return what records a draft of a model.

    Parameters
    ----------
    hidden
        The call's handlers that do not see drafts.
    model
        The model, as `draft_model` makes it.
    given
        What it was made from.
    """
    cache = model.cache if isinstance(model.cache, DraftCache) else None
    _, models_hidden = parted(given.callbacks)
    kind = Recording
    if any(hasattr(handler, "tap_output_iter") for handler in (*hidden, *models_hidden)):
        kind = _event_recording() if any(map(_takes_events, hidden)) else _StreamedRecording
    return kind(hidden, models_hidden, cache)


def draft_model(model: BaseChatModel) -> BaseChatModel:
    """Return a copy whose answers neither its callbacks nor its cache see as they come."""
    kept, hidden = parted(model.callbacks)
    changes: dict[str, Any] = {"callbacks": kept} if hidden else {}
    if model.cache is not False:
        own = model.cache if isinstance(model.cache, BaseCache) else None
        changes["cache"] = DraftCache(own)
    return model.model_copy(update=changes)


def parted(callbacks: Any) -> tuple[Any, list[BaseCallbackHandler]]:
    """Return callbacks without the handlers that do not see drafts, on a copy; and these."""
    is_manager = isinstance(callbacks, BaseCallbackManager)
    handlers = callbacks.handlers if is_manager else callbacks
    hidden = [handler for handler in handlers or () if not _sees_drafts(handler)]
    if not hidden:
        return callbacks, hidden
    if not is_manager:
        return [handler for handler in callbacks if _sees_drafts(handler)], hidden
    manager = callbacks.copy()
    for handler in hidden:
        manager.remove_handler(handler)
    return manager, hidden


def _sees_drafts(handler: BaseCallbackHandler) -> bool:
    """Tell whether a handler keeps runs or counts tokens, and shows nobody an answer."""
    if getattr(handler, "routellm_drafts", False):
        return True
    counts = hasattr(handler, "usage_metadata") or hasattr(handler, "total_tokens")
    return counts or (isinstance(handler, BaseTracer) and not shows_tokens([handler]))


def _takes_events(handler: BaseCallbackHandler) -> bool:
    marker = _event_marker()
    return marker is not None and isinstance(handler, marker)


def _event_marker() -> type | None:
    """Return what marks handlers of the third protocol; not every LangChain has it."""
    from langchain_core.tracers import _streaming

    marker: type | None = getattr(_streaming, "_V2StreamingCallbackHandler", None)
    return marker


def _event_recording() -> type[Recording]:
    marker = _event_marker()
    assert marker is not None  # noqa: S101 - a handler has it
    return type("_EventRecording", (_StreamedRecording, marker), {})
