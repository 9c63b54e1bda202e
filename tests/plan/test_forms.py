"""A draft's form and tool calls are checked before anything else scores it."""

import json

import pytest

from routellm_core.answers import Answer, Prompt, ToolCall, check
from routellm_core.errors import EmptyAnswerError
from routellm_core.strategies import BestOf, Cascade
from tests.plan.toy import WAYS, Toy, ToyCall

GOOD, BAD, WORSE = '{"city": "Paris"}', '{"city": 7}', "I call nothing, I only talk."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANYTHING = check(lambda prompt, answer: 1.0, name="anything")


class Down(Exception):  # noqa: N818 - what a provider's error is called
    status_code = 503


class Calling(ToyCall):
    """Read an answer that is a JSON object as a call of the only tool."""

    def prompt(self):
        return Prompt(self.text, tools={"weather": PARAMETERS})

    def answer_of(self, answer):
        text = answer.strip()
        return Answer("", tool_calls=(ToolCall("weather", text),)) if text[0] == "{" else text

    def branch(self, attempts):
        return Calling(attempts, self.text)


class Structured(ToyCall):
    """Ask for a JSON object."""

    def prompt(self):
        return Prompt(self.text, schema=PARAMETERS)

    def branch(self, attempts):
        return Structured(attempts, self.text)


@pytest.fixture(params=[Calling, Structured])
def kind(request):
    return request.param


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


def toy_of(kind, models, strategy):
    class Toys(Toy):
        def begin(self, text="Why?", **turn):
            self.call = kind(super().begin(text, **turn).attempts, text)
            return self.call

    return Toys(models, strategy)


def test_a_draft_without_the_form_is_rejected_whatever_the_verifier_says(way, kind) -> None:
    toy = toy_of(kind, {"weak": BAD, "strong": GOOD}, Cascade(ANYTHING, accept=0.0))
    assert json.loads(toy.run(way)) == json.loads(GOOD)
    assert (toy.decision.route, toy.decision.reason) == ("strong", "rejected:schema")
    assert toy.outcomes == [("weak", "rejected"), ("strong", "answered")]


def test_a_draft_with_the_form_is_scored_by_the_verifier(way, kind) -> None:
    toy = toy_of(kind, {"weak": GOOD, "strong": BAD}, Cascade(ANYTHING, accept=0.5))
    assert json.loads(toy.run(way)) == json.loads(GOOD)
    assert toy.decision.reason == "accepted:anything"


def test_a_draft_without_the_form_is_never_the_best_one(way, kind) -> None:
    nothing = check(lambda prompt, answer: 0.1, name="nothing")
    toy = toy_of(kind, {"a": BAD, "b": GOOD, "c": Down()}, Cascade(nothing, accept=0.5))
    assert json.loads(toy.run(way)) == json.loads(GOOD)
    alone = toy_of(kind, {"a": BAD, "b": Down()}, Cascade(nothing, accept=0.5))
    with pytest.raises((Down, EmptyAnswerError)):
        alone.run(way)
    assert alone.shown == []


def test_the_best_of_several_has_the_form(way, kind) -> None:
    toy = toy_of(kind, {"a": BAD, "b": GOOD}, BestOf(choose=ANYTHING))
    assert json.loads(toy.run(way)) == json.loads(GOOD)
    assert toy.outcomes == [("a", "rejected"), ("b", "accepted")]
