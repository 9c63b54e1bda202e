"""Checks of numbers that an argument got: each names the first number that cannot be used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bad_number", "check_fraction", "first_descent", "json_value", "percent_hint"]

_NUMBERS = (int, float, np.integer, np.floating)


def percent_hint(value: object) -> str:
    """Return " Did you mean 0.3?" for 30, where a fraction is wanted; "" for what is no percentage.

    Examples
    --------
    >>> percent_hint(30)
    ' Did you mean 0.3?'
    >>> percent_hint(0.5), percent_hint(300), percent_hint("30")
    ('', '', '')
    """
    if not isinstance(value, _NUMBERS) or not 1.0 < value <= 100.0:
        return ""
    return f" Did you mean {float(value) / 100:g}?"


def check_fraction(value: object, *, name: str, within: str) -> None:
    """Refuse what is no number in an interval from 0 to 1.

    Parameters
    ----------
    value
        What the argument got.
    name
        The argument.
    within
        The interval as the message states it: "[0, 1]", "(0, 1]", "[0, 1)" or "(0, 1)".

    Raises
    ------
    ConfigurationError
        If it is outside, or no number.

    Examples
    --------
    >>> check_fraction(95, name="confidence", within="(0, 1)")
    Traceback (most recent call last):
        ...
    routellm_core.errors.ConfigurationError: `confidence` must lie in (0, 1), got 95. Did you mean \
0.95?
    """
    valid = isinstance(value, _NUMBERS) and (
        0.0 < value < 1.0
        or (value == 0.0 and within.startswith("["))
        or (value == 1.0 and within.endswith("]"))
    )
    if not valid:
        raise ConfigurationError(
            f"`{name}` must lie in {within}, got {value!r}.{percent_hint(value)}"
        )


def bad_number(
    values: NDArray[Any], *, low: float = -math.inf, high: float = math.inf, nan: bool = False
) -> str:
    """Return the first number outside [low, high] and where it stands, or "" when there is none.

    Parameters
    ----------
    values
        Numbers of any shape.
    low, high
        The range; what is infinite is refused in any.
    nan
        Whether NaN stands for a number that is not known, and may be there.

    Examples
    --------
    >>> bad_number(np.array([0.5, 1.5, np.nan]), low=0.0, high=1.0)
    '1.5 at index 1 (2 of 3 are outside)'
    >>> bad_number(np.array([[1.0, np.nan]]))
    'nan at index (0, 1)'
    >>> bad_number(np.array([1.0, np.nan]), nan=True)
    ''
    """
    good = np.isfinite(values) & (values >= low) & (values <= high)
    if nan:
        good |= np.isnan(values)
    if good.all():
        return ""
    n_bad = int(good.size - np.count_nonzero(good))
    count = f" ({n_bad:,} of {good.size:,} are outside)" if n_bad > 1 else ""
    return _at(values, int(np.argmin(good))) + count


def first_descent(values: NDArray[Any], *, strictly: bool = False) -> str:
    """Return the first number that does not ascend and where it stands, or "" when all do.

    Parameters
    ----------
    values
        Shape (n,).
    strictly
        Whether a number must exceed the one before it, rather than reach it.

    Examples
    --------
    >>> first_descent(np.array([0.1, 0.5, 0.4]))
    '0.4 at index 2 after 0.5'
    >>> first_descent(np.array([0.1, 0.1])), first_descent(np.array([0.1, 0.1]), strictly=True)
    ('', '0.1 at index 1 after 0.1')
    """
    steps = np.diff(values)
    good = steps > 0.0 if strictly else steps >= 0.0
    if good.all():
        return ""
    place = int(np.argmin(good))
    return f"{_at(values, place + 1)} after {values[place].item()!r}"


def _at(values: NDArray[Any], flat: int) -> str:
    if values.ndim == 0:
        return repr(values.item())
    index = tuple(int(each) for each in np.unravel_index(flat, values.shape))
    return f"{values[index].item()!r} at index {index[0] if len(index) == 1 else index}"


def json_value(value: object) -> object:
    """Return a value with None in place of NaN and infinity, which JSON does not know.

    Examples
    --------
    >>> json_value({"mean": float("nan"), "counts": (1, 2)})
    {'mean': None, 'counts': [1, 2]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: json_value(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(one) for one in value]
    return value
