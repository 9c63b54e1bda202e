"""Tool results that agents send in the user's name."""

from __future__ import annotations

from typing import Any

import pytest

from routellm_core import Turn, read_turn
from routellm_core.controller import OpenAIView
from tests.agent_transcripts import GROWING, PEOPLE, QUESTION, RESULTS


def turn_of(*said: str, **options: Any) -> Turn:
    """Read what the user and the assistant say in turns."""
    roles = ("user", "assistant")
    messages: list[dict[str, Any]] = [
        {"role": roles[index % 2], "content": text} for index, text in enumerate(said)
    ]
    return read_turn(messages, OpenAIView(), **options)


@pytest.mark.parametrize("agent", RESULTS)
def test_an_agents_tool_result_belongs_to_the_users_question(agent: str) -> None:
    assert turn_of(QUESTION, *RESULTS[agent]).text == QUESTION


@pytest.mark.parametrize("agent", RESULTS)
def test_so_does_every_later_step(agent: str) -> None:
    assert turn_of(QUESTION, *RESULTS[agent] * 3).text == QUESTION


@pytest.mark.parametrize("agent", RESULTS)
def test_the_users_next_message_is_a_turn_of_its_own(agent: str) -> None:
    assert turn_of(QUESTION, *RESULTS[agent], "It is odd.", "And 8?").text == "And 8?"


@pytest.mark.parametrize("agent", RESULTS)
def test_the_first_message_is_the_users_whatever_it_says(agent: str) -> None:
    assert turn_of(RESULTS[agent][1]).text == RESULTS[agent][1]


@pytest.mark.parametrize("person", PEOPLE)
def test_what_a_person_writes_stays_the_persons(person: str) -> None:
    # "Proceed." is a person's, too; by default it is routed on what it continues.
    turn = turn_of(QUESTION, *PEOPLE[person], routing_text="last_user")
    assert turn.text == PEOPLE[person][1]


@pytest.mark.parametrize("agent", GROWING)
def test_a_message_that_grows_with_every_step_is_routed_on_what_stays(agent: str) -> None:
    first, later = (turn_of(message).text for message in GROWING[agent])
    assert first == later
    assert QUESTION in first
    assert "Observation: 12" not in later


@pytest.mark.parametrize("text", ["Begin!\nQuestion: why", "Why?\nThought:", "\nBegin!\nQuestion:"])
def test_half_a_template_is_routed_whole(text: str) -> None:
    assert turn_of(text).text == text


@pytest.mark.parametrize("role", ["ipython", "observation", "environment", "tool-response"])
def test_a_role_that_some_servers_use_for_tools_is_not_the_users(role: str) -> None:
    messages = [{"role": "user", "content": QUESTION}, {"role": role, "content": "12"}]
    assert read_turn(messages, OpenAIView()).text == QUESTION
