"""Which values a JSON schema leaves possible, while a text is being written.

Nothing that the whole schema accepts is refused. Of its keywords these are followed: `type`,
`enum`, `const`, `properties`, `additionalProperties`, `items`, `prefixItems`, `maxItems`, and
through `$ref`, `allOf`, `anyOf` and `oneOf`; every other one waits for the whole answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SchemaGuide"]

_MOST = 64
"""Alternatives of one place; where there are more, anything may stand there."""
_DEEPEST = 16
"""References and alternatives inside each other that are followed."""

Part: TypeAlias = "Mapping[str, Any] | bool"
Alternatives: TypeAlias = "list[tuple[Part, ...]] | None"
"""One of these must hold, with all of its parts; None where anything may stand."""


class SchemaGuide:
    """The values of one text against a JSON schema; see `JSONGuide`.

    Parameters
    ----------
    schema
        The schema, with local references only.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._places: list[tuple[str, Alternatives, int]] = []  # kind, schemas, elements so far
        self._next: Alternatives = _expanded(schema, schema)

    def opened(self, kind: str) -> bool:
        """Return whether an "object" or an "array" may start here."""
        self._advance()
        kept = _keep(self._next, lambda part: _takes(part, kind))
        self._places.append((kind, kept, 0))
        return kept is None or bool(kept)

    def closed(self) -> None:
        """Go back to the value around the one that ended."""
        self._places.pop()

    def named(self, key: str) -> bool:
        """Return whether the object may have a member of this name."""
        kind, schemas, n = self._places[-1]
        kept = _keep(schemas, lambda part: _has_member(part, key))
        self._places[-1] = (kind, kept, n)
        self._next = self._joined(kept, lambda part: _member(part, key))
        return kept is None or bool(kept)

    def scalar(self, kind: str, text: str | None) -> bool:
        """Return whether a value may stand here; see `JSONGuide`."""
        if text is None:
            self._advance()
            self._next = _keep(self._next, lambda part: _takes(part, kind))
        else:
            self._next = _keep(self._next, lambda part: _equals_one(part, json.loads(text)))
        return self._next is None or bool(self._next)

    def _advance(self) -> None:
        """Go to the next element, where the value is an element."""
        if not self._places or self._places[-1][0] == "object":
            return
        kind, schemas, n = self._places[-1]
        kept = _keep(schemas, lambda part: _has_element(part, n))
        self._places[-1] = (kind, kept, n + 1)
        # No schema is left for an element too many: then none takes it.
        self._next = self._joined(kept, lambda part: _element(part, n))

    def _joined(self, schemas: Alternatives, inner: Any) -> Alternatives:
        if schemas is None:
            return None
        found: list[tuple[Part, ...]] = []
        for parts in schemas:
            expanded = [_expanded(inner(part), self._root) for part in parts]
            if any(each is None for each in expanded):
                return None
            for combination in product(*[each for each in expanded if each is not None]):
                found.append(tuple(part for group in combination for part in group))
                if len(found) > _MOST:
                    return None
        return found


def _expanded(schema: Part, root: Mapping[str, Any], depth: int = 0) -> Alternatives:
    """Return the alternatives that a schema stands for, without references."""
    if isinstance(schema, bool):
        return [(schema,)]
    if depth > _DEEPEST:
        return None
    groups: list[Alternatives] = [[(schema,)]]
    if "$ref" in schema:
        groups.append(_referred(schema["$ref"], root, depth))
    groups += [_expanded(each, root, depth + 1) for each in schema.get("allOf", ())]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            groups.append(_either(schema[word], root, depth))
    found: list[tuple[Part, ...]] = [()]
    for group in groups:
        if group is None:
            return None
        found = [(*left, *right) for left in found for right in group]
        if len(found) > _MOST:
            return None
    return found


def _either(schemas: Sequence[Part], root: Mapping[str, Any], depth: int) -> Alternatives:
    found: list[tuple[Part, ...]] = []
    for schema in schemas:
        expanded = _expanded(schema, root, depth + 1)
        if expanded is None:
            return None
        found += expanded
    return found


def _referred(reference: str, root: Mapping[str, Any], depth: int) -> Alternatives:
    found: Any = root
    for name in _pointer(reference):
        if not isinstance(found, Mapping) or name not in found:
            return None  # an anchor, or another schema's name
        found = found[name]
    return _expanded(found, root, depth + 1) if isinstance(found, (Mapping, bool)) else None


def _pointer(reference: str) -> Iterator[str]:
    for name in reference.removeprefix("#").split("/")[1:]:
        yield name.replace("~1", "/").replace("~0", "~")


def _keep(schemas: Alternatives, takes: Any) -> Alternatives:
    if schemas is None:
        return None
    return [parts for parts in schemas if all(takes(part) for part in parts)]


def _takes(part: Part, kind: str) -> bool:
    if isinstance(part, bool):
        return part
    if "const" in part and _kind_of(part["const"]) != kind:
        return False
    if "enum" in part and kind not in map(_kind_of, part["enum"]):
        return False
    types = part.get("type")
    if types is None:
        return True
    accepted = [types] if isinstance(types, str) else types
    return kind in accepted or (kind == "number" and "integer" in accepted)


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds = {str: "string", int: "number", float: "number", list: "array"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "object")


def _equals_one(part: Part, value: Any) -> bool:
    if isinstance(part, bool):
        return part
    if "const" in part and not _equal(part["const"], value):
        return False
    return "enum" not in part or any(_equal(each, value) for each in part["enum"])


def _equal(known: Any, value: Any) -> bool:
    return bool(known == value) and _kind_of(known) == _kind_of(value)


def _has_member(part: Part, key: str) -> bool:
    if isinstance(part, bool):
        return part
    if part.get("additionalProperties") is not False or key in part.get("properties", {}):
        return True
    return bool(part.get("patternProperties"))


def _member(part: Part, key: str) -> Part:
    if isinstance(part, bool):
        return part
    known: Mapping[str, Part] = part.get("properties", {})
    if key in known:
        return known[key]
    if part.get("patternProperties"):
        return True
    others: Part = part.get("additionalProperties", True)
    return others


def _has_element(part: Part, n: int) -> bool:
    return part if isinstance(part, bool) else n < part.get("maxItems", n + 1)


def _element(part: Part, n: int) -> Part:
    if isinstance(part, bool):
        return part
    first = part.get("prefixItems", ())
    # Before draft 2020-12 a list under `items` is what `prefixItems` is now.
    items: Any = part.get("items", True)
    if isinstance(items, list):
        first, items = items, part.get("additionalItems", True)
    found: Part = first[n] if n < len(first) else items
    return found
