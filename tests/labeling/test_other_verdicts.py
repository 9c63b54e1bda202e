"""Scores, known answers and routes."""

import pytest

from routellm_core.data.routes import read_route
from routellm_core.errors import ConfigurationError
from routellm_core.labeling.calls import Reply
from routellm_core.labeling.references import is_right
from routellm_core.labeling.route_labels import route_call, route_plan
from routellm_core.labeling.scores import read_score, score_plan


@pytest.mark.parametrize(
    ("answer", "reference", "comparison", "right"),
    [
        (" Paris\n", "Paris", "exact", True),
        ("paris", "Paris", "exact", False),
        ("**Paris!**", "paris", "normalised", True),
        ("It is Paris, France.", "paris", "contains", True),
        ("Parisian", "paris", "contains", False),
        ("First 3, then 1,250.0", "1250", "number", True),
        ("1251", "1250", "number", False),
        ("none", "1250", "number", False),
        ("The answer is **B**.", "B", "choice", True),
        ("(c)", "C", "choice", True),
        ("I think C or D", "C", "choice", False),
        ("A cat", "A", "choice", False),
        ("Answer: A", "(A)", "choice", True),
    ],
)
def test_a_known_answer_decides(answer, reference, comparison, right) -> None:
    assert is_right(answer, reference, comparison=comparison) is right


def test_an_unknown_comparison_is_told() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'number'"):
        is_right("1", "1", comparison="numbers")


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 1} is bad, {"score": 5} is good', '{"score": 0}', '{"score": true}', "4.5", "45",
        "", "good",
    ],
)  # fmt: skip
def test_a_text_without_a_score_is_none(text: str) -> None:
    assert read_score(text) is None


def test_an_answer_is_rated_beside_the_strong_models() -> None:
    plan = score_plan("j", "prompt", ["mine", "yours"], reference="the best")
    calls = next(plan)
    assert ["the best" in call.messages[0]["content"] for call in calls] == [True, True]
    with pytest.raises(StopIteration) as end:
        plan.send([Reply('{"score": 5}'), Reply('{"score": 2}')])
    assert end.value.value == [5, 2]


def test_a_route_is_one_of_two_words() -> None:
    assert read_route("route_to_superior") == "ROUTE_TO_SUPERIOR"
    assert read_route("ROUTE_TO_SUPERIOR or ROUTE_TO_INFERIOR") is None
    plan = route_plan(route_call("j", "prompt", examples=[("hi", "ROUTE_TO_INFERIOR")]))
    (call,) = next(plan)
    assert "Request: hi\nReply: ROUTE_TO_INFERIOR" in call.messages[0]["content"]
    with pytest.raises(StopIteration) as end:
        plan.send([Reply("ROUTE_TO_INFERIOR")])
    assert end.value.value == "ROUTE_TO_INFERIOR"
