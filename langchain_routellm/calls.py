"""One call of a routed model: its config, how its answers and chunks are read, and its record."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from typing import Any, NamedTuple, TypeAlias

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, convert_to_messages
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_routellm.cache_marks import unmarked_arguments, unmarked_input
from langchain_routellm.drafts import DRAFT_TAG, Recording, parted
from langchain_routellm.messages import (
    finish_reason_of,
    has_content,
    holds_words,
    read_messages,
    said_of,
    stamped,
)
from langchain_routellm.models import BackingModels
from langchain_routellm.reading import Asked, merged_chunks, read_answer, read_prompt
from langchain_routellm.tools import chat_model_in
from langchain_routellm.usage import UsageReader, usage_of
from langchain_routellm.watching import TokenWatch, shows_tokens, with_handler
from routellm_core import Attempts, DecisionRecord, EmptyAnswerError, Usage
from routellm_core.answers import Answer, Prompt, Request, Token, read_tokens
from routellm_core.plan import OtherAnswer, RoutedCall

__all__ = ["Beside", "Call", "Drafting", "Target"]

Target: TypeAlias = Callable[[str, dict[str, Any]], tuple[Runnable[Any, Any], dict[str, Any]]]
"""From a route and a call's arguments to its Runnable and the arguments for it."""

_NO_EXPERTS: frozenset[str] = frozenset()
_NO_CHUNKS = "No generation chunks were returned"
"""All that LangChain says when a stream ends before it began."""


class Drafting:
    """What a call needs besides where its answers may be rejected.

    Parameters
    ----------
    asked
        The input, for verifiers.
    text
        What was routed.
    models
        The models, with those for drafts.
    """

    __slots__ = ("_prompt", "_recorded", "asked", "models", "text")

    def __init__(self, asked: Asked, text: str, models: BackingModels) -> None:
        self.asked = asked
        self.text = text
        self.models = models
        self._prompt: Prompt | None = None
        self._recorded: list[tuple[Any, Recording]] = []

    def prompt(self, win_rate: float | None) -> Prompt:
        """Return what was asked, as verifiers read it."""
        if self._prompt is None:
            self._prompt = read_prompt(self.asked, self.text, win_rate)
        return self._prompt

    def note(self, answer: Any, recording: Recording) -> None:
        """Note the recorded run of a draft."""
        self._recorded.append((answer, recording))

    def taken(self, answer: Any) -> Recording | None:
        """Return the recorded run of the draft that was accepted, once."""
        recorded, self._recorded = self._recorded, []
        return next((recording for draft, recording in recorded if draft is answer), None)


class Beside(NamedTuple):
    """What another model is asked in the background.

    Parameters
    ----------
    asked
        The input, with a list of its own.
    text
        What was routed.
    target
        Returns the Runnable of a route and the arguments to call it with.
    """

    asked: Asked
    text: str
    target: Target


class Call(RoutedCall[Any, Any]):
    """Follow one call: which route is next, under which config, and what its answer carries.

    Parameters
    ----------
    attempts
        Holds the decision, and may turn it into an escalation.
    config
        The caller's, complete.
    latency_ms
        How long the decision took.
    usage
        Collects what the answer used; None when nobody asks.
    escalate_filtered
        Whether a filtered answer is unusable.
    is_watched
        Whether callbacks of the models show their tokens.
    """

    __slots__ = (
        "_config",
        "_is_branch",
        "_is_watched",
        "_latency_ms",
        "_recording",
        "_tried",
        "_usage",
        "beside",
        "dated",
        "drafting",
        "unmarked",
    )

    def __init__(
        self,
        attempts: Attempts,
        config: RunnableConfig,
        latency_ms: float,
        usage: UsageReader | None = None,
        *,
        escalate_filtered: bool = False,
        is_watched: bool = False,
    ) -> None:
        super().__init__(attempts, escalate_filtered=escalate_filtered)
        self._is_watched = is_watched
        self._usage = usage
        self._config = config
        self._latency_ms = latency_ms
        self._tried = False
        self.drafting: Drafting | None = None
        """Set where answers may be rejected."""
        self.beside: Beside | None = None
        """Set where another model is asked in the background."""
        self.dated: frozenset[str] = _NO_EXPERTS
        """The experts whose answers carry their time, for what prompt caches hold later."""
        self.unmarked: frozenset[str] = _NO_EXPERTS
        """The experts whose APIs know no marks for prompt caches."""
        self._is_branch = False
        self._recording: Recording | None = None

    @property
    def waits_for_content(self) -> bool:
        """Whether a stream's chunks are held back until one of them says something."""
        return self.attempts.may_escalate

    @property
    def is_draft(self) -> bool:
        """Whether the answer that is asked for now may be rejected."""
        return self.drafting is not None and (self._is_branch or self.holds_back)

    def given(self, model_input: LanguageModelInput) -> LanguageModelInput:
        """Return the input as the model on this route takes it."""
        return unmarked_input(model_input) if self.route in self.unmarked else model_input

    def kept(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that the model on this route takes."""
        return unmarked_arguments(arguments) if self.route in self.unmarked else arguments

    def config(self) -> RunnableConfig:
        """Return the caller's config with the decision in its metadata and tags."""
        decision = self.attempts.decision
        config = self._config.copy()
        config["metadata"] = {
            **config.get("metadata", {}),
            **decision.metadata(),
            "routellm_latency_ms": self._latency_ms,
        }
        config["tags"] = [*config.get("tags", ()), f"routellm:{decision.route}"]
        callbacks = config.get("callbacks")
        if self.is_draft:
            config["tags"].append(DRAFT_TAG)
            callbacks = self._recorded(callbacks)
        elif self.attempts.may_escalate and (self._is_watched or shows_tokens(callbacks)):
            callbacks = with_handler(callbacks, TokenWatch(self.commit))
        if self._usage is not None:
            callbacks = with_handler(callbacks, self._usage)
        if callbacks is not None:
            config["callbacks"] = callbacks
        if self._tried:
            # The first attempt's run has it already.
            config.pop("run_id", None)
        return config

    def _recorded(self, callbacks: Any) -> Any:
        """Return callbacks in which a recording stands for those that do not see drafts."""
        assert self.drafting is not None  # noqa: S101 - `is_draft` says so
        callbacks, hidden = parted(callbacks)
        self._recording = self.drafting.models.recording(self.route, hidden)
        return with_handler(callbacks, self._recording)

    def show(self) -> None:
        """Show the run of an accepted draft to the handlers that have not seen it."""
        recording = self._accepted()
        if recording is not None:
            recording.show()

    async def ashow(self) -> None:
        """Show the run of an accepted draft to the handlers that have not seen it."""
        recording = self._accepted()
        if recording is not None:
            await recording.ashow()

    def _accepted(self) -> Recording | None:
        given = self.attempts.given
        return None if given is None or self.drafting is None else self.drafting.taken(given.answer)

    def starts_again(self) -> None:
        """Forget what the attempt before used, and that the caller's run ID is free."""
        self._tried = True
        if self._usage is not None:
            self._usage.forget()

    def fault(self, error: BaseException) -> BaseException:
        """Return the error; in place of LangChain's for a stream without chunks, one of a class."""
        if type(error) is ValueError and error.args == (_NO_CHUNKS,):
            empty = EmptyAnswerError(f"{_NO_CHUNKS}.")
            empty.__cause__ = error
            return empty
        return error

    def used(self, answer: Any = None) -> Usage | None:  # noqa: ARG002 - the runs have said it
        """Return what the runs of the current attempt used; None when nobody counts."""
        return None if self._usage is None else self._usage.usage

    def note_usage(self, answer: ChatResult) -> None:
        """Count the tokens of an answer that no run reports."""
        if self._usage is not None:
            self._usage.note(answer.generations)

    def check(self, answer: Any) -> None:
        """Refuse a whole answer that is unusable, while another model may give one.

        Raises
        ------
        EmptyAnswerError
            If it is refused.
        """
        if self.escalate_filtered or not holds_words(answer):  # words in a tenth of the time
            super().check(answer)
        if self._recording is not None and self.drafting is not None:
            self.drafting.note(answer, self._recording)
            self._recording = None

    def holds(self, answer: Any) -> tuple[bool, str | None]:
        """Return whether a whole answer says something, and its finish reason."""
        return said_of(answer)

    def has_content(self, chunk: Any) -> bool:
        """Return whether a chunk holds words, a tool call, or anything that is no message."""
        return has_content(chunk)

    def end_reason(self, chunks: Sequence[Any]) -> str | None:
        """Return the last finish reason among chunks, in the provider's words."""
        return finish_reason_of(chunks)

    def signed(self, answer: Any) -> Any:
        """Return the answer with this call's record, on a copy."""
        return stamped(answer, self.record())

    def signed_chunks(self, chunks: list[Any]) -> list[Any]:
        """Return the chunks with the record on the first.

        Records on several would be merged into nonsense.
        """
        chunks[0] = stamped(chunks[0], self.record())
        return chunks

    def record(self) -> DecisionRecord:
        """Return what the answer carries."""
        decision = self.attempts.decision
        record = decision.record()
        if decision.route in self.dated:
            record["at"] = int(time())
        return record

    def prompt(self) -> Prompt:
        """Return what was asked, as verifiers read it."""
        if self.drafting is not None:
            return self.drafting.prompt(self.decision.win_rate)
        assert self.beside is not None  # noqa: S101 - there is a verifier or a shadow
        return read_prompt(self.beside.asked, self.beside.text, self.decision.win_rate)

    def answer_of(self, answer: Any) -> Answer:
        """Return a whole answer as verifiers read it."""
        return read_answer(answer)

    def ask_verifier(self, request: Request) -> Answer:
        """Ask the model of the current draft, for a verifier that needs more answers of it."""
        assert self.drafting is not None  # noqa: S101 - there is a verifier
        models, route = self.drafting.models, self.route
        options: dict[str, Any] = {"temperature": request.temperature}
        if request.max_tokens is not None:
            options["max_tokens"] = request.max_tokens
        if request.top_logprobs is not None:
            options.update(logprobs=True, top_logprobs=request.top_logprobs)
        callbacks, _ = parted(self._config.get("callbacks"))
        config: RunnableConfig = {"tags": [DRAFT_TAG, f"routellm:{request.purpose}"]}
        config["callbacks"] = callbacks or []
        messages = convert_to_messages([dict(message) for message in request.messages])
        message = models.drafts[route].invoke(messages, config, **models.taken(route, options))
        return replace(read_answer(message), usage=usage_of(message))

    def ask_other(self, expert: str, /, *, timeout_s: float) -> OtherAnswer:  # noqa: ARG002
        """Ask another model below its callbacks, its tracers and its cache.

        Its own client's timeout holds.
        """
        assert self.beside is not None  # noqa: S101 - the call was sampled
        asked, _, target = self.beside
        model, rest = chat_model_in(*target(expert, dict(asked.arguments)))
        tools = rest.pop("tools", None)
        if tools and all(isinstance(tool, dict) for tool in tools):
            rest["tools"] = tools
        elif tools:  # an agent's own, which nobody has bound yet
            model, rest = chat_model_in(model.bind_tools(tools), rest)
        messages = list(read_messages(asked.model_input))
        message = model._generate(messages, **rest).generations[0].message
        answer = read_answer(message)
        if asked.schema is not None and answer.tool_calls:
            said = answer.tool_calls[0].arguments
            answer = Answer(said if isinstance(said, str) else json.dumps(said, default=str))
        return OtherAnswer(answer, usage_of(message))

    def merged(self, chunks: Sequence[Any]) -> Any:
        """Return the whole answer that chunks make up."""
        return merged_chunks(chunks)

    def delta(self, chunk: Any) -> tuple[str, Sequence[Token]]:
        """Return the text and the tokens that a chunk adds."""
        return (str(chunk.text), read_tokens(chunk)) if isinstance(chunk, AIMessage) else ("", ())

    def branch(self, attempts: Attempts) -> Call:
        """Return a call beside this one, to ask another expert at the same time."""
        usage = None if self._usage is None else UsageReader()
        call = type(self)(
            attempts,
            self._config,
            self._latency_ms,
            usage,
            escalate_filtered=self.escalate_filtered,
        )
        call.drafting, call._is_branch = self.drafting, True
        call.dated, call.unmarked = self.dated, self.unmarked
        call._tried, self._tried = self._tried, True  # one of them has the caller's run ID
        return call
