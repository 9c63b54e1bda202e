"""Check what goes into a metric, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Floats", "checked", "checked_unit", "same_length"]

Floats: TypeAlias = "NDArray[np.float64]"


def checked(values: ArrayLike, *, name: str) -> Floats:
    """Return the values as finite float64 of shape (n,), n >= 1.

    Raises
    ------
    ConfigurationError
        If they are not that.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"`{name}` must be numbers: {error}") from error
    if array.ndim != 1 or array.size == 0:
        raise ConfigurationError(
            f"`{name}` must have shape (n,) with n >= 1, got shape {array.shape}."
        )
    bad = bad_number(array)
    if bad:
        raise ConfigurationError(f"`{name}` must be finite, got {bad}.")
    return array


def checked_unit(values: ArrayLike, *, name: str) -> Floats:
    """Return the values as `checked` does, and refuse any outside [0, 1]."""
    array = checked(values, name=name)
    bad = bad_number(array, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`{name}` must lie in [0, 1], got {bad}.")
    return array


def same_length(**arrays: Floats) -> int:
    """Return the common length n.

    Raises
    ------
    ConfigurationError
        If the lengths differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        stated = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise ConfigurationError(f"One value per prompt is needed, got lengths {stated}.")
    return next(iter(lengths.values()))
