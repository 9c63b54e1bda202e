"""Whom a call goes to now, and in what words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.backing import with_handlers
from llamaindex_routellm.drafts import Wanted
from llamaindex_routellm.events import with_held
from llamaindex_routellm.history import adapted, dialect_of
from llamaindex_routellm.messages import ChatView
from llamaindex_routellm.usage import UsageReader
from routellm_core.experts import without_unset_effort
from routellm_core.plan import RoutedCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.llms import LLM

    from llamaindex_routellm.events import HeldEvents
    from llamaindex_routellm.messages import Owners, Words
    from llamaindex_routellm.metadata import ExpertFacts
    from llamaindex_routellm.origins import Origins
    from llamaindex_routellm.variants import Efforts
    from routellm_core import Decider, Decision, Guards, Turn, Usage

__all__ = ["DRAFT_TAG", "WORDS", "Asked", "DirectedCall", "RoutedModel"]

T = TypeVar("T")
Self = TypeVar("Self", bound="DirectedCall")

DRAFT_TAG = "routellm:draft"
"""The instrument tag of a model's events while it writes what may be rejected."""

WORDS = Wanted()
"""A call that asks for nothing but words."""


class Asked(NamedTuple):
    """Be what a decision is about.

    Parameters
    ----------
    turn
        What the policy has to know.
    names_question
        Whether the text is a question that an engine's prompt named: then the answer may be
        another question, asked for the same user.
    """

    turn: Turn
    names_question: bool = False


class RoutedModel(Protocol):
    """What a call has to know of the model that routes it."""

    callback_manager: CallbackManager
    rate_limiter: Any

    @property
    def escalate_filtered(self) -> bool:
        """Whether a filtered answer is unusable."""
        ...

    @property
    def drop_params(self) -> Mapping[str, Sequence[str]]:
        """Arguments that a model does not take, by expert."""
        ...

    def _backings(self) -> Mapping[str, LLM]: ...

    def _efforts(self) -> Efforts: ...

    def _facts(self) -> ExpertFacts: ...

    def _owners(self) -> Owners: ...

    def _origins(self) -> Origins: ...

    def _worth_escalating(self) -> Callable[[BaseException], bool]: ...

    def _decider(self) -> Decider: ...

    def _guards(self) -> Guards: ...

    def _prompt_noter(
        self, messages: Sequence[ChatMessage | Words]
    ) -> Callable[[str, str, Usage | None], None] | None: ...


class DirectedCall(RoutedCall[Any, Any]):
    """A call, and the model that it goes to now: who is asked, and in what words.

    A call may never be begun: where LlamaIndex's own code takes over, it only lends its decision to
    the calls that are made there.

    Parameters
    ----------
    routed
        The model that was called.
    decision
        Where the call goes first.
    asked
        What was decided about.
    started_s
        When deciding began, on the clock of `time.perf_counter`.
    conversation
        The messages that were sent, for knowing later whose tool calls the answer made.
    wanted
        What was asked for besides words, for verifiers.
    """

    __slots__ = (
        "_asked",
        "_conversation",
        "_decision",
        "_drafts",
        "_held",
        "_is_begun",
        "_is_branch",
        "_is_counted",
        "_routed",
        "_started_s",
        "_tags",
        "_usage",
        "_wanted",
        "has_own_effort",
        "last",
        "settings",
    )

    def __init__(
        self,
        routed: RoutedModel,
        decision: Decision,
        *,
        asked: Asked,
        started_s: float,
        conversation: Sequence[ChatMessage | Words] = (),
        wanted: Wanted = WORDS,
    ) -> None:
        self._routed = routed
        self._conversation = conversation
        self._decision = decision
        self._asked = asked
        self._started_s = started_s
        self._wanted = wanted
        self._is_begun = self._is_branch = self._is_counted = False
        self.has_own_effort = False
        """Whether the caller says how much to think, so that no model's own setting counts."""
        self._usage: UsageReader | None = None
        self._tags: dict[str, Any] | None = None
        self._held: HeldEvents | None = None
        self._drafts: list[tuple[Any, HeldEvents]] = []
        self.settings: Mapping[str, Any] = {}
        """The keyword arguments of a chat, for another model that is asked the same."""
        self.last: object = None
        """The last chunk that was given out."""

    def begin(self: Self) -> Self:
        """Start to follow the call, before a model is first asked; return it.

        Raises
        ------
        BudgetExceededError, CircuitOpenError
            If no model may be asked.
        """
        if not self._is_begun:
            routed = self._routed
            guards = routed._guards()
            on_answer = routed._prompt_noter(self._conversation)
            attempts = guards.begin(
                self._decision,
                decider=routed._decider(),
                worth_escalating=routed._worth_escalating(),
                text=self._asked.turn.text,
                started_s=self._started_s,
                on_answer=on_answer,
            )
            super().__init__(attempts, escalate_filtered=routed.escalate_filtered)
            self._is_begun = True
            if attempts.shadow is not None:  # their owner may add to them
                self._conversation = list(self._conversation)
                self.settings = dict(self.settings)
                if self._wanted.schema is not None:  # asked by programs, which tell everybody
                    attempts.shadow.skip()
            if guards.monitor is not None or guards.budget is not None:
                self._usage = UsageReader()
            self._is_counted = self._usage is not None or on_answer is not None
        return self

    def bind(self) -> None:
        """Begin the call for the first model alone, because the request is in its words."""
        decision = self._decision
        if decision.order:
            route = decision.route
            rated = dict(zip(decision.order, decision.qualities, strict=False))
            qualities = (rated[route],) if route in rated else ()
            self._decision = replace(decision, order=(route,), qualities=qualities)
        self.begin().commit()

    @property
    def decision(self) -> Decision:
        """Where the call goes now."""
        return self.attempts.decision if self._is_begun else self._decision

    @property
    def route(self) -> str:
        """The expert that is asked now."""
        return self.decision.route

    # Whom to ask, and in what words

    @property
    def backing(self) -> LLM:
        """The model that is asked now, as the user passed it, but for an effort of the call's."""
        routed = self._routed
        models = routed._efforts().open_models if self.has_own_effort else routed._backings()
        return models[self.route]

    @property
    def target(self) -> LLM:
        """The model that is asked now, with the handlers of the routing one.

        Their events have no tags, so that those of a draft are held back until it is the answer.
        """
        model, manager, usage = self.backing, self._routed.callback_manager, self._usage
        if self.is_draft:
            held, self._held = with_held(model, manager, *(() if usage is None else (usage,)))
            return held
        if usage is not None:
            manager = usage.added_to(manager)
        return with_handlers(model, manager)

    @property
    def is_draft(self) -> bool:
        """Whether what is asked for now may be rejected."""
        return self._is_branch or self.holds_back

    @property
    def takes_tools(self) -> bool:
        """Whether the model that is asked now takes tools."""
        return self._routed._facts().said[self.route].is_function_calling_model

    def kept(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return a call's settings without those that the model that is asked now does not take."""
        routed = self._routed
        if routed._efforts().open_models:
            settings = dict(without_unset_effort(settings))
        dropped = routed.drop_params.get(self.route)
        if not dropped:
            return settings
        return {name: value for name, value in settings.items() if name not in dropped}

    def adapted(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Return a new list of the messages in the dialect of the model that is asked now."""
        return adapted(
            messages,
            dialect_of(self.backing),
            system_role=self._routed._facts().system_roles.get(self.route),
            wrote=self._wrote,
        )

    def _wrote(self, index: int) -> bool | None:
        """Return whether a model of the asked one's class wrote a message; None if not known.

        Where a model writes arguments as JSON, a message that nobody remembers may be its.
        """
        routed, models = self._routed, self._routed._backings()
        view = ChatView(self._conversation[: index + 1], routed._owners())
        record = view.record(self._conversation[index])
        if record is not None:
            writer = models[record["route"]]
            if dialect_of(writer) != "any":
                return type(writer) is type(self.backing)
        dialects = set(map(dialect_of, models.values()))
        return False if "openai" in dialects and dialect_of(self.backing) != "openai" else None

    def tags(self) -> dict[str, Any]:
        """Return the instrument tags for the model's events: the caller's, and the decision."""
        tags = self._tags
        if tags is None:
            tags = self._tags = _tags(self.decision)
            if self.is_draft:
                tags[DRAFT_TAG] = True
        return {**active_instrument_tags.get(), **tags}

    def wait(self) -> None:
        """Wait for the rate limit before an attempt."""
        limiter = self._routed.rate_limiter
        if limiter is not None:
            limiter.acquire()

    def asked(self, ask: Callable[[Any], Awaitable[T]]) -> Awaitable[T]:
        """Wait for the rate limit, then ask within this attempt's time."""
        limiter = self._routed.rate_limiter
        return super().asked(ask) if limiter is None else self._limited(limiter, ask)

    async def _limited(self, limiter: Any, ask: Callable[[Any], Awaitable[T]]) -> T:
        await limiter.async_acquire()
        return await super().asked(ask)


def _tags(decision: Decision) -> dict[str, Any]:
    return {name: value for name, value in decision.metadata().items() if value is not None}
