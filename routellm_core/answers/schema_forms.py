"""The forms that an answer may have to take: a JSON schema, or a type that pydantic validates."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from routellm_core._optional import require
from routellm_core.answers.json_prefix import MAX_DEPTH, JSONPrefix, unfenced
from routellm_core.answers.schema_guide import SchemaGuide
from routellm_core.errors import ConfigurationError, VerifierError

__all__ = ["Form", "form_of", "json_value"]


class Form:
    """What an answer must look like."""

    def text_fault(self, text: str) -> str | None:
        """Return what is wrong with a JSON text, in words that hold none of it; None if nothing."""
        raise NotImplementedError

    def value_fault(self, value: Any) -> str | None:
        """Return what is wrong with a JSON value; None if nothing."""
        raise NotImplementedError

    def prefix(self) -> JSONPrefix:
        """Start to read a text that is still being written."""
        return JSONPrefix()


def form_of(schema: Any) -> Form:
    """Return the form that a schema stands for.

    Parameters
    ----------
    schema
        A JSON schema as a mapping, a pydantic model, a `TypedDict`, or any other type that
        pydantic validates.

    Raises
    ------
    ConfigurationError
        If it is none of these, or a JSON schema that is wrong or refers to other documents.
    MissingDependencyError
        If it is a JSON schema and `jsonschema` is not installed.
    """
    if isinstance(schema, Mapping):
        try:
            text = json.dumps(schema)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"`schema` is not a JSON schema: {error}") from error
        return _schema_form(text)
    if isinstance(schema, str):  # which pydantic would take for the name of a type
        raise ConfigurationError(
            f"`schema` must be a JSON schema as a mapping, or a type, got the text {schema[:40]!r}."
        )
    try:
        return _type_form(schema)
    except TypeError:  # not hashable
        return _TypeForm(schema)


@lru_cache(maxsize=128)
def _schema_form(text: str) -> Form:
    return _SchemaForm(json.loads(text))


@lru_cache(maxsize=128)
def _type_form(schema: Any) -> Form:
    return _TypeForm(schema)


class _SchemaForm(Form):
    """A JSON schema; one without `$schema` is of draft 2020-12."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        library = require("jsonschema", extra="litellm")
        referencing = require("referencing", extra="litellm")
        kind = library.validators.validator_for(schema, default=library.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except library.SchemaError as error:
            place = "/".join(map(str, error.absolute_path)) or "its root"
            raise ConfigurationError(
                f"`schema` is not a JSON schema: {error.validator!r} at {place}."
            ) from error
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise ConfigurationError(
                    f"`schema` refers to {reference!r}. Only references inside it ('#/$defs/...') "
                    "are followed: nothing is fetched."
                )
        self._schema = schema
        self._names = frozenset(_names(schema))
        # Without a registry of its own the library fetches what a schema refers to.
        self._validator = kind(schema, registry=referencing.Registry())
        self._unresolved: type[Exception] = referencing.exceptions.Unresolvable

    def text_fault(self, text: str) -> str | None:
        value, fault = json_value(text)
        return fault or self.value_fault(value)

    def value_fault(self, value: Any) -> str | None:
        try:
            error = next(self._validator.iter_errors(value), None)
        except (self._unresolved, RecursionError) as error_of_schema:
            raise VerifierError(
                "The JSON schema could not be applied: a reference in it leads nowhere or in a "
                "circle."
            ) from error_of_schema
        if error is None:
            return None
        # A name that the schema does not know is the model's word, and not repeated.
        path = [
            str(part) if isinstance(part, int) or part in self._names else "?"
            for part in error.absolute_path
        ]
        return f"{error.validator} at {'.'.join(path) or 'the root'}"

    def prefix(self) -> JSONPrefix:
        return JSONPrefix(SchemaGuide(self._schema))


class _TypeForm(Form):
    """A type that pydantic validates, by its own rules: a text "5" may stand for the number 5.

    What pydantic makes of a value is not known before the whole is there, so that a text in
    writing has to be JSON and no more.
    """

    def __init__(self, schema: Any) -> None:
        pydantic = require("pydantic", extra="none")
        self._error: type[Exception] = pydantic.ValidationError
        try:
            self._adapter = pydantic.TypeAdapter(_portable(schema))
        except (pydantic.PydanticUserError, TypeError, NameError) as error:
            raise ConfigurationError(
                "`schema` must be a JSON schema, a pydantic model, a `TypedDict` or another type "
                f"that pydantic validates, got {schema!r}."
            ) from error

    def text_fault(self, text: str) -> str | None:
        value, fault = json_value(text)
        if fault is not None:
            return fault
        # Of a text pydantic takes what JSON has no words for: a date, a set.
        return self._fault(lambda: self._adapter.validate_json(json.dumps(value)))

    def value_fault(self, value: Any) -> str | None:
        return self._fault(lambda: self._adapter.validate_python(value))

    def _fault(self, validate: Any) -> str | None:
        try:
            validate()
        except self._error as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]  # type: ignore[attr-defined]
            return f"{first['type']} at depth {len(first['loc'])}"
        return None


def json_value(text: str) -> tuple[Any, str | None]:
    """Return the value of a JSON text, fenced or not, and what is wrong with the text, if anything.

    Examples
    --------
    >>> json_value("[1, 2]"), json_value("[1, 2")
    (([1, 2], None), (None, 'not JSON: it ends too early'))
    """
    inner = unfenced(text)
    try:
        value = json.loads(inner, parse_constant=_refuse)
    except (ValueError, RecursionError):
        fault = JSONPrefix().feed(inner)
        return None, fault or ("not JSON: it ends too early" if inner else "not JSON: it is empty")
    if inner.count("[") + inner.count("{") > MAX_DEPTH:
        return value, JSONPrefix().feed(inner)
    return value, None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _references(schema: Any, depth: int = 0) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"`schema` is nested deeper than {MAX_DEPTH}.")
    if isinstance(schema, Mapping):
        for word in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(schema.get(word), str):
                yield schema[word]
        for value in schema.values():
            yield from _references(value, depth + 1)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value, depth + 1)


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        known = schema.get("properties")
        if isinstance(known, Mapping):
            yield from known
        for value in schema.values():
            yield from _names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names(value)


def _portable(annotation: Any) -> Any:
    """Return a type whose `TypedDict`s pydantic takes: before Python 3.12 not those of `typing`."""
    if sys.version_info >= (3, 12):
        return annotation
    if is_typeddict(annotation):
        return _portable_dict(annotation)
    arguments = get_args(annotation)
    if not arguments:
        return annotation
    inner = tuple(_portable(each) for each in arguments)
    if inner == arguments:
        return annotation
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return reduce(or_, inner)
    return origin[inner] if origin is not None else annotation


def _portable_dict(annotation: Any) -> Any:
    extensions = require("typing_extensions", extra="none")
    required: frozenset[str] = annotation.__required_keys__
    hints = get_type_hints(annotation, include_extras=True)
    fields = {}
    for name, hint in hints.items():
        # Annotations that were kept as texts hide their marks from `__required_keys__`.
        marks, bare = _unmarked(hint)
        optional = "NotRequired" in marks or (name not in required and "Required" not in marks)
        mark = extensions.NotRequired if optional else extensions.Required
        fields[name] = mark[_portable(bare)]
    return extensions.TypedDict(annotation.__name__, fields)


def _unmarked(hint: Any) -> tuple[set[str], Any]:
    """Return the marks that say whether a field may be missing, and the field's type."""
    marks: set[str] = set()
    while True:
        name = getattr(get_origin(hint), "_name", None)
        if name not in ("Required", "NotRequired", "ReadOnly"):
            return marks, hint
        marks.add(name)
        hint = get_args(hint)[0]
