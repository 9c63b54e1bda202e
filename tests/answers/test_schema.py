"""Structured answers and tool calls, whole and while they are written."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import NotRequired

from routellm_core import ConfigurationError, VerifierError
from routellm_core.answers import Answer, Prompt, ToolCall, schema
from routellm_core.answers.json_prefix import JSONPrefix, unfenced

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "mood": {"enum": ["good", "bad", None]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)


class City(TypedDict):
    name: str
    people: NotRequired[int]


class Country(TypedDict, total=False):
    cities: Annotated[list[City], "of any size"]
    capital: Optional[City]  # noqa: UP045 - what people write
    kind: Literal["small", "large"]


def early(verifier: Any, text: str, prompt: Prompt | str = "p") -> int | None:
    """Return after how many characters a stream is rejected."""
    watch = verifier.watch(prompt, accept=0.5)
    assert watch is not None
    for place, character in enumerate(text, start=1):
        if watch.feed(character) is not None:
            return place
    return None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "Ann"}', "valid"),
        ('```json\n{"name": "Ann", "tags": ["x", 2.5]}\n```', "valid"),
        ('{"name": "Ann", "age": -1}', "minimum at age"),
        ('{"name": 5}', "type at name"),
        ('{"age": 5}', "required at the root"),
        ('{"name": "Ann", "secret": 1}', "additionalProperties at the root"),
        ('{"name": "Ann", "tags": [true]}', "anyOf at tags.0"),
        ('{"name": "Ann"', "not JSON: it ends too early"),
        ("", "not JSON: it is empty"),
        ('Here you are: {"name": "Ann"}', "not JSON from character 0 on"),
        ('{"name": "Ann"} That is all.', "not JSON from character 16 on"),
        ('{"name": NaN}', "not JSON from character 9 on"),
        ("[" * 500 + "]" * 500, "nested deeper than 200 from character 200 on"),
    ],
)
def test_an_answer_is_checked_against_a_json_schema(text: str, reason: str) -> None:
    score = schema(PERSON).score("p", text)
    assert score.reason == reason
    assert score.value == (1.0 if reason == "valid" else 0.0)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (Person, '{"name": "Ann", "age": 3}', '{"name": "Ann", "age": -3}'),
        (Person, '{"name": "Ann", "age": "3"}', '{"name": "Ann", "age": "three"}'),
        (City, '{"name": "Rome"}', '{"people": 3}'),
        (Country, '{"cities": [{"name": "Rome"}], "capital": null}', '{"cities": [{}]}'),
        (Country, '{"kind": "small"}', '{"kind": "tiny"}'),
        (list[City], '[{"name": "Rome", "people": 3}]', '[{"name": "Rome", "people": "some"}]'),
        (City | None, "null", "[]"),
        (int, "7", "seven"),
    ],
)
def test_an_answer_is_checked_against_a_type(form: Any, good: str, bad: str) -> None:
    assert schema(form).score("p", good).value == 1.0
    assert schema(form).score("p", bad).value == 0.0
    assert schema().score(Prompt("p", schema=form), good).value == 1.0
    assert schema().score(Prompt("p", schema=form), bad).value == 0.0


def test_no_reason_repeats_the_answer() -> None:
    for form in (PERSON, Person):
        for text in ('{"sentinel": 1}', '{"name": ["sentinel"]}', '{"name": "sentinel'):
            assert "sentinel" not in schema(form).score("p", text).reason


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "strong"},
        {"$ref": "https://example.com/schema"},
        {"properties": {"a": {"$ref": "other.json#/a"}}},
        {"enum": {1, 2}},
        object(),
        "a text",
    ],
)
def test_what_is_no_schema_is_refused_and_nothing_is_fetched(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="`schema`"):
        schema(bad)


def test_a_reference_that_leads_nowhere_is_an_error_and_no_verdict() -> None:
    with pytest.raises(VerifierError, match="leads nowhere"):
        schema({"$ref": "#/$defs/missing"}).score("p", "{}")


def test_a_refusal_is_no_structured_answer_and_free_text_is_left_alone() -> None:
    assert schema(PERSON).score("p", Answer("", refusal="I will not.")).value == 0.0
    assert schema().score("p", "Anything at all.").value == 1.0
    assert schema().watch("p", accept=0.5) is None


TOOLS = {
    "add": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
    "now": {"type": "object", "properties": {}},
}


@pytest.mark.parametrize(
    ("calls", "choice", "reason"),
    [
        ([("add", {"a": 1, "b": 2})], None, "valid"),
        ([("add", '{"a": 1, "b": 2}'), ("now", "")], "required", "valid"),
        (
            [("add", {"a": 1, "b": 2}), ("add", {"a": 1})],
            None,
            "arguments of add: required at the root",
        ),
        ([("add", '{"a": 1, "b": 2')], None, "arguments of add: not JSON: it ends too early"),
        ([("add", '{"a": 1, b: 2}')], None, "arguments of add: not JSON from character 9 on"),
        ([("add", "[]")], None, "arguments of add: not an object"),
        ([("sub", {})], None, "calls a tool that is not there"),
        ([("now", {})], "add", "calls another tool than it must"),
        ([("now", {})], "none", "calls a tool although it must not"),
        ([], "any", "calls no tool"),
        ([], "auto", "valid"),
        ([], None, "valid"),
    ],
)  # fmt: skip
def test_tool_calls_name_tools_that_exist_with_valid_arguments(
    calls: list[tuple[str, Any]], choice: str | None, reason: str
) -> None:
    prompt = Prompt("p", tools=TOOLS, tool_choice=choice)
    answer = Answer("", tool_calls=tuple(ToolCall(*call) for call in calls))
    score = schema().score(prompt, answer)
    assert (score.value, score.reason) == (float(reason == "valid"), reason)
    # A form beside the tools is for the answer that ends the loop.
    if calls:
        assert schema(PERSON).score(prompt, answer) == score


def test_a_call_where_no_tool_is_bound_is_rejected() -> None:
    assert schema().score("p", Answer("", tool_calls=(ToolCall("add", {}),))).value == 0.0


@given(JSON, st.sampled_from([None, 1]))
def test_no_start_of_valid_json_is_rejected(value: Any, indent: int | None) -> None:
    for text in (json.dumps(value, indent=indent), json.dumps(value, ensure_ascii=False)):
        for whole in (text, f"```json\n{text}\n```\n", f" \n{text}"):
            prefix = JSONPrefix()
            assert [prefix.feed(c) for c in whole] == [None] * len(whole)


@given(JSON, st.integers(0, 200), st.sampled_from(list('{}[]",:\\0-.eEtnx \n\x01`')))
def test_a_text_is_rejected_no_sooner_than_no_ending_could_save_it(
    value: Any, place: int, character: str
) -> None:
    text = json.dumps(value)
    text = text[:place] + character + text[place + 1 :]
    prefix = JSONPrefix()
    rejected = prefix.feed(text)
    if is_json(text):
        assert rejected is None
    elif rejected is None:  # it only ends too early
        assert any(is_json(text + ending) for ending in endings(prefix))


def endings(prefix: JSONPrefix) -> list[str]:
    tail = "".join("}" if kind == "object" else "]" for kind in reversed(prefix._open))
    starts = ["", '"', "0", 'x"', '":0', '"x":0', ":0", '0000"', '000":0', 'n"', 'n":0', "e0"]
    starts += ["rue", "ue", "e", "alse", "lse", "se", "ull", "ll", "l", '000"', '00"', '0"']
    starts += ['0000":0', '00":0', '0":0']
    fences = ["", "\n```", "``", "`", "``\n0\n```", "`\n0\n```", "\n0\n```"]
    return [start + tail + fence for start in starts for fence in fences]


def is_json(text: str) -> bool:
    try:
        json.loads(unfenced(text), parse_constant=int)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"name": "Ann", "age": 3, "mood": null, "tags": ["a", 1]}', None),
        ('["name"]', 1),
        ('{"name": 5', 10),
        ('{"nick": 5', 7),
        ('{"mood": "go', None),
        ('{"mood": "glum"', 15),
        ('{"mood": tr', 10),
        ('{"tags": [1, "b", ', None),
        ('{"tags": [1, "b", 3', 19),
        ('{"tags": [tr', 11),
        ('{"age": 1.', None),
        ("Sure", 1),
        ("```python", 4),
        ('```json\n{"age": "1', 17),
    ],
)  # fmt: skip
def test_a_stream_is_rejected_as_soon_as_the_schema_cannot_be_met(
    text: str, place: int | None
) -> None:
    assert early(schema(PERSON), text) == place
    assert early(schema(), text, Prompt("p", schema=PERSON)) == place


def test_a_stream_for_a_type_of_pydantic_only_has_to_be_json() -> None:
    assert early(schema(Person), '{"name": 5, "age": "3"}') is None
    assert early(schema(Person), '{"name": Ann') == 10


def test_a_rejected_stream_stays_rejected() -> None:
    watch = schema(PERSON).watch("p", accept=0.5)
    assert watch is not None
    assert watch.feed('{"age"') is None
    first = watch.feed("!")
    assert first is not None
    assert first.value == 0.0
    assert watch.feed(": 3}") == first
    assert schema(PERSON).watch("p", accept=0.0) is None


SIMPLE = st.sampled_from(
    [
        {"type": "string"},
        {"type": ["integer", "null"]},
        {"enum": ["a", 1, True, None]},
        {"const": 0},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        {"prefixItems": [{"type": "string"}], "items": False},
        True,
        {},
    ]
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(lambda s: {"anyOf": s})
        | st.lists(inner, min_size=1, max_size=2).map(lambda s: {"allOf": s})
        | st.lists(inner, min_size=1, max_size=2).map(lambda s: {"oneOf": s})
        | st.tuples(inner, inner).map(lambda s: {"properties": {"a": s[0], "b": s[1]}})
        | st.tuples(inner, inner).map(
            lambda s: {"properties": {"a": s[0]}, "additionalProperties": s[1]}
        )
        | inner.map(lambda s: {"properties": {"a": s}, "additionalProperties": False})
        | inner.map(lambda s: {"items": s, "maxItems": 2})
    ),
    max_leaves=5,
)
DOCUMENTS = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2.5, "a", "b", 1.0]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(SCHEMAS, DOCUMENTS)
def test_nothing_that_the_schema_accepts_is_rejected_early(form: Any, document: Any) -> None:
    form = form if isinstance(form, dict) else {}
    valid = jsonschema.Draft202012Validator(form).is_valid(document)
    text = json.dumps(document)
    rejected = early(schema(form), text) is not None
    assert not (valid and rejected)
    assert schema(form).score("p", text).value == float(valid)


def test_an_older_list_of_items_and_a_circle_are_followed() -> None:
    old = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "string"}],
        "additionalItems": {"type": "integer"},
    }
    assert early(schema(old), '["a", 1, "b') == 10
    tree = {"properties": {"kids": {"items": {"$ref": "#"}}}, "type": "object"}
    assert early(schema(tree), '{"kids": [{"kids": [{"kids": []}, 1') == 35
