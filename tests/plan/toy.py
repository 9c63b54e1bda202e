"""The smallest adapter: models are functions, answers are texts, chunks are words."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from routellm_core import Turn, escalation_filter, make_decider, make_guards
from routellm_core.answers import Answer, Prompt
from routellm_core.experts import Expert, ExpertTable
from routellm_core.plan import RoutedCall, adrive, astream, drive, stream
from routellm_core.testing import ScriptedRouter
from routellm_core.types import Usage

WAYS = ["drive", "adrive", "stream", "astream"]


class ToyCall(RoutedCall[str, str]):
    __slots__ = ("ask_other", "reasons", "text")

    def __init__(self, attempts, text, *, escalate_filtered=False, reasons=None):
        super().__init__(attempts, escalate_filtered=escalate_filtered)
        self.ask_other = None
        self.text = text
        self.reasons = reasons or {}

    def holds(self, answer):
        return bool(answer), None

    def has_content(self, chunk):
        return bool(chunk)

    def end_reason(self, chunks):
        return self.reasons.get(chunks[-1]) if chunks else None

    def prompt(self):
        return Prompt(self.text)

    def answer_of(self, answer):
        return Answer(answer)

    def merged(self, chunks):
        return "".join(chunks)

    def delta(self, chunk):
        return chunk, ()

    def used(self, answer=None):
        return None if answer is None else Usage(len(self.text), len(answer))

    def branch(self, attempts):
        return ToyCall(attempts, self.text)


@dataclass
class Toy:
    """Experts that say something, raise, or take their time.

    Parameters
    ----------
    models
        By expert: a text, an error, or a list of these for one call after another.
    strategy, options
        As `make_decider` and `make_guards` take them.
    reasons
        Finish reasons by the chunks that tell them.
    """

    models: dict[str, Any]
    strategy: Any = None
    win_rate: float = 0.1
    router: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    escalate_filtered: bool = False
    other: Any = None
    asked: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = ExpertTable(Expert(name, f"model-{name}") for name in self.models)
        self.decider = make_decider(
            router=self.router or ScriptedRouter({}, default=self.win_rate),
            threshold=0.5,
            experts=self.table,
            strategy=self.strategy,
        )
        self.guards = make_guards(**self.options)
        self.models = {
            name: list(said) if isinstance(said, list) else said
            for name, said in self.models.items()
        }
        self.call: ToyCall | None = None

    def begin(self, text="Why?", **turn) -> ToyCall:
        decision = self.decider.decide(Turn(text, **turn))
        attempts = self.guards.begin(
            decision, decider=self.decider, worth_escalating=escalation_filter(None), text=text
        )
        self.call = ToyCall(
            attempts, text, escalate_filtered=self.escalate_filtered, reasons=self.reasons
        )
        self.call.ask_other = self.other
        return self.call

    def say(self, name: str) -> str:
        self.asked.append(name)
        said = self.models[name]
        if isinstance(said, list):
            said = said.pop(0)
        if isinstance(said, BaseException):
            raise said
        return said

    def ask(self, call: ToyCall) -> str:
        time.sleep(self.delays.get(call.route, 0.0))
        return self.say(call.route)

    async def aask(self, call: ToyCall) -> str:
        await asyncio.sleep(self.delays.get(call.route, 0.0))
        return self.say(call.route)

    def open(self, call: ToyCall):
        route = call.route
        try:
            time.sleep(self.delays.get(route, 0.0))
            for word in self.say(route).split():
                yield f"{word} "
        finally:
            self.closed.append(route)

    async def aopen(self, call: ToyCall):
        return self._achunks(call.route)

    async def _achunks(self, route: str):
        try:
            await asyncio.sleep(self.delays.get(route, 0.0))
            for word in self.say(route).split():
                yield f"{word} "
        finally:
            self.closed.append(route)

    def run(self, way: str, text="Why?", **turn) -> str:
        """Return the whole answer by one of the four ways."""
        call = self.begin(text, **turn)
        if way == "drive":
            return drive(call, self.ask)
        if way == "adrive":
            return asyncio.run(adrive(call, self.aask))
        if way == "stream":
            for chunk in stream(call, self.open):
                self.shown.append(chunk)
        else:
            asyncio.run(self._read(call))
        return "".join(self.shown).strip()

    async def _read(self, call: ToyCall) -> None:
        async for chunk in astream(call, self.aopen):
            self.shown.append(chunk)

    @property
    def decision(self):
        return self.call.decision

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(step.expert, step.outcome) for step in self.call.attempts.steps]
