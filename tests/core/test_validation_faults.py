"""What pydantic refuses is told in the project's words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal, get_args

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorType

from routellm_core import validation_faults

KEY = "sk-1234567890abcdefghij"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "x"


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    strong: str = "a"
    port: int = Field(default=1, ge=1, le=65535)
    share: float = Field(default=0.5, gt=0.0, le=1.0)
    open: bool = False
    kind: Literal["auto", "openai"] = "auto"
    key: SecretStr | None = None
    stop: list[str] | str | None = None
    names: tuple[str, ...] = Field(default=("a",), min_length=1)
    parts: list[Part] = []
    options: dict[str, Any] = {}

    @field_validator("strong")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is blank")
        return value

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if self.open and self.port == 1:
            raise ValueError("pass `port` with `open`")
        return self


def faults(**given: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings(**given)
    return validation_faults(caught.value, known=list(Settings.model_fields))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prot": 1}, "`prot` is unknown. Did you mean 'port'?"),
        ({"port": "abc"}, "`port` must be a whole number, got 'abc'."),
        ({"port": 1.5}, "`port` must be a whole number, got 1.5."),
        ({"port": None}, "`port` must be a whole number, got nothing."),
        ({"port": 99999}, "`port` must be at most 65535, got 99999."),
        ({"port": 0}, "`port` must be at least 1, got 0."),
        ({"share": 30}, "`share` must be at most 1, got 30. Did you mean 0.3?"),
        ({"share": "30"}, "`share` must be at most 1, got '30'. Did you mean 0.3?"),
        ({"share": 0}, "`share` must be above 0, got 0."),
        ({"share": "much"}, "`share` must be a number, got 'much'."),
        ({"share": [1]}, "`share` must be a number, got a list."),
        ({"open": "perhaps"}, "`open` must be true or false, got 'perhaps'."),
        ({"kind": "pigeon"}, "`kind` must be 'auto' or 'openai', got 'pigeon'."),
        ({"kind": 7}, "`kind` must be 'auto' or 'openai', got 7."),
        ({"stop": 5}, "`stop` must be a list or a text, got a number."),
        ({"stop": ["a", 5]}, "`stop.1` must be a text, got a number."),
        ({"names": []}, "`names` must not be empty."),
        ({"names": "a"}, "`names` must be a list, got a text."),
        ({"parts": [{"nam": 1}]}, "`parts.0.nam` is unknown."),
        ({"parts": ["x"]}, "`parts.0` must be a mapping, got a text."),
        ({"options": [1]}, "`options` must be a mapping, got a list."),
        ({"strong": " "}, "`strong`: it is blank."),
        ({"open": True}, "Pass `port` with `open`."),
    ],
)
def test_a_fault_says_the_place_what_is_accepted_and_what_was_there(
    given: dict[str, Any], told: str
) -> None:
    assert faults(**given) == [told]


def test_every_place_is_told() -> None:
    told = faults(port=0, share=2)
    assert told == [
        "`port` must be at least 1, got 0.",
        "`share` must be at most 1, got 2. Did you mean 0.02?",
    ]


def test_a_missing_value_and_a_wrong_whole_are_told() -> None:
    class Needed(BaseModel):
        model: str

    with pytest.raises(ValidationError) as caught:
        Needed()  # type: ignore[call-arg]
    assert validation_faults(caught.value) == ["`model` is missing."]
    with pytest.raises(ValidationError) as caught:
        Needed.model_validate([1])
    assert validation_faults(caught.value, whole="The body", mapping="an object") == [
        "The body must be an object, got a list."
    ]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Part).validate_json("{")
    [said] = validation_faults(caught.value)
    assert said.startswith("It is not valid JSON: EOF while parsing an object at line 1")


@pytest.mark.parametrize(
    "given",
    [
        {"port": KEY},
        {"key": 1234567890},
        {"key": [KEY]},
        {"kind": KEY},
        {"parts": [KEY]},
        {"names": KEY},
        {"options": KEY},
        {"strong": [KEY]},
        {"stop": {"a": KEY}},
        {"share": {KEY: 1}},
    ],
)
def test_what_may_be_a_secret_is_not_repeated(given: dict[str, Any]) -> None:
    said = " ".join(faults(**given))
    assert KEY not in said
    assert "1234567890" not in said


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_no_kind_of_fault_is_told_in_pydantics_words(kind: str) -> None:
    context = dict.fromkeys(CONTEXT, 1) | {"error": ValueError("why"), "expected": "'a' or 'b'"}
    fault = {
        "type": kind, "loc": ("a",), "msg": "Input should be a valid thing", "input": "x",
        "ctx": context,
    }  # fmt: skip
    error: Any = SimpleNamespace(errors=lambda **_: [fault])
    [said] = validation_faults(error)
    assert "Input" not in said
    assert said.startswith("`a`")
    assert said.endswith(".")


CONTEXT = (
    "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "class",
)  # fmt: skip
