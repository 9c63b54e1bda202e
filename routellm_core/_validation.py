"""What pydantic found wrong, in the words of the project's other messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from routellm_core._numbers import percent_hint
from routellm_core.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["validation_faults"]

# A number, a switch or a word of a closed set: what was there instead is shown.
_SHOWN = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
# Anything else may be a secret or somebody's words: only its kind is told.
_HIDDEN = {
    "none_required": "must be left out",
    "string_type": "must be a text",
    "string_sub_type": "must be a text",
    "string_unicode": "must be a text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern!r}",
    "bytes_type": "must be bytes",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "iterable_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be {mapping}",
    "mapping_type": "must be {mapping}",
    "model_type": "must be {mapping}",
    "model_attributes_type": "must be {mapping}",
    "dataclass_type": "must be {mapping}",
    "dataclass_exact_type": "must be {mapping}",
    "callable_type": "must be callable",
    "is_instance_of": "must be a `{class}`",
    "is_subclass_of": "must be a subclass of `{class}`",
    "json_invalid": "is not valid JSON: {error}",
}
_LONGEST_SHOWN = 20
"""Characters: keys are longer, and no number or switch is."""

# How pydantic names the branches of a union, after the name of the field.
_BRANCH = re.compile(
    r"(str|int|float|bool|none|bytes|callable|any)"
    r"|(list|dict|tuple|set|frozenset|literal|nullable|is-instance|is-subclass|function-\w+)\[.*"
    r"|constrained-\w+|json-or-python.*|[A-Z]\w*"
)
_WORDED_BY_US = ("value_error", "assertion_error")


def validation_faults(
    error: ValidationError,
    *,
    known: Sequence[str] = (),
    whole: str = "It",
    mapping: str = "a mapping",
) -> list[str]:
    """Return one sentence for each place at which pydantic found something wrong.

    A sentence shows what was there where a number, a switch or one of a few words is accepted, and
    only its kind otherwise: it may be a secret.

    Parameters
    ----------
    error
        What pydantic raised.
    known
        Every accepted name, for a hint where one is misspelt.
    whole
        What the value is called where it is wrong as a whole.
    mapping
        What an object with names is called: "an object" in JSON.

    Returns
    -------
    At least one sentence, in pydantic's order.

    Examples
    --------
    >>> from pydantic import BaseModel, Field, ValidationError
    >>> class Settings(BaseModel):
    ...     port: int
    ...     share: float = Field(le=1.0)
    >>> try:
    ...     Settings(share=30)
    ... except ValidationError as error:
    ...     validation_faults(error)
    ['`port` is missing.', '`share` must be at most 1, got 30. Did you mean 0.3?']
    """
    places: dict[str, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        places.setdefault(_place(fault["loc"]), []).append(fault)
    return [
        _sentence(f"`{place}`" if place else whole, faults, known=known, mapping=mapping)
        for place, faults in places.items()
        if not _is_other_branch(place, places)
    ]


def _place(loc: tuple[int | str, ...]) -> str:
    kept = [part for part in loc if not (isinstance(part, str) and _BRANCH.fullmatch(part))]
    return ".".join(map(str, kept or loc))


def _is_other_branch(place: str, places: Mapping[str, Sequence[ErrorDetails]]) -> bool:
    """Return whether another branch of a union took the value, and refuses a part of it."""
    of_union = any(_BRANCH.fullmatch(str(fault["loc"][-1])) for fault in places[place] if place)
    return of_union and any(other.startswith(f"{place}.") for other in places)


def _sentence(where: str, faults: list[ErrorDetails], *, known: Sequence[str], mapping: str) -> str:
    first = faults[0]
    kind = first["type"]
    if kind == "missing":
        return f"{where} is missing."
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        hint = did_you_mean(str(first["loc"][0]), list(known)) if len(first["loc"]) == 1 else ""
        return f"{where} is unknown.{hint}"
    if kind in _WORDED_BY_US:
        return _own_words(where, first)
    phrases = list(dict.fromkeys(_phrase(fault, mapping=mapping) for fault in faults))
    accepted = " or ".join([phrases[0], *(each.removeprefix("must be ") for each in phrases[1:])])
    context = first.get("ctx", {})
    if context.get("min_length") == 1:
        return f"{where} must not be empty."
    if kind == "json_invalid":
        return f"{where} {accepted}."
    value = first["input"]
    if "actual_length" in context:
        return f"{where} {accepted}, got {context['actual_length']}."
    shown = any(fault["type"] in _SHOWN for fault in faults)
    hint = percent_hint(_number(value)) if 1.0 in (context.get("le"), context.get("lt")) else ""
    return f"{where} {accepted}, got {_got(value, shown=shown, mapping=mapping)}.{hint}"


def _own_words(where: str, fault: ErrorDetails) -> str:
    """Return what a validator of our own said, as a sentence."""
    said = str(fault.get("ctx", {}).get("error", fault["msg"])).rstrip(".")
    if fault["loc"]:
        return f"{where}: {said}."
    return f"{said[:1].upper()}{said[1:]}."


def _phrase(fault: ErrorDetails, *, mapping: str) -> str:
    template = _SHOWN.get(fault["type"]) or _HIDDEN.get(fault["type"])
    if template is None:
        # Of a type that no model here can meet, or that a later pydantic adds.
        said = fault["msg"].rstrip(".")
        return f"must {said.removeprefix('Input should ')}" if said.startswith("Input ") else said
    context = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
    return template.format(**context, mapping=mapping)


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: object) -> object:
    """Return the number that a text of the environment stands for."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _got(value: Any, *, shown: bool, mapping: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool) or (shown and isinstance(value, (int, float))):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if shown and len(value) <= _LONGEST_SHOWN else "a text"
    kinds = (((int, float), "a number"), (Mapping, mapping), ((Sequence, Set), "a list"))
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)
