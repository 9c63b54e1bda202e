"""What users did with an answer: rated it, asked again, or corrected it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from routellm_core.data.columns import check_scale
from routellm_core.errors import DataError
from routellm_core.labeling.logged import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FeedbackReader", "feedback_quality"]

_RATINGS = (
    "feedback", "user_feedback", "rating", "user_rating", "thumb", "thumbs", "thumbs_up", "vote",
    "like", "liked", "helpful", "user_score", "correctness",
)  # fmt: skip
_RETRIES = ("retried", "retry", "regenerated", "regenerate", "n_retries")
_EDITS = ("edited_answer", "edited_output", "edited", "edit", "correction", "corrected_answer")
_WORDS = {
    **dict.fromkeys(
        (
            "up", "thumbsup", "thumbup", "👍", "good", "like", "liked", "positive", "yes", "true",
            "helpful", "correct", "accept", "accepted",
        ),
        1.0,
    ),
    **dict.fromkeys(
        (
            "down", "thumbsdown", "thumbdown", "👎", "bad", "dislike", "disliked", "negative", "no",
            "false", "unhelpful", "nothelpful", "incorrect", "wrong", "reject", "rejected",
        ),
        0.0,
    ),
    **dict.fromkeys(("neutral", "mixed", "ok"), 0.5),
}  # fmt: skip
_PLAIN = re.compile(r"[\s_-]+")
_INDIRECT = 0.5
"""Weight of what a user did not say in so many words: a retry, an edit."""
_MAX_WORDS = 2000


class FeedbackReader:
    """The signs of quality in a logged row.

    Parameters
    ----------
    fields
        Names of ratings besides the usual ones, which are the keys of LangSmith's feedback and the
        names of Langfuse's scores as well.
    scale
        The lowest and the highest rating, where they are grades; by default ratings are 0 to 1,
        or -1 and 1.

    Raises
    ------
    ConfigurationError
        If the scale is not two rising numbers.
    """

    def __init__(
        self, fields: Sequence[str] = (), *, scale: tuple[float, float] | None = None
    ) -> None:
        if scale is not None:
            check_scale(scale)
        self._names = frozenset(map(_plain, (*_RATINGS, *fields)))
        self._scale = scale

    def signals(self, row: Mapping[str, Any], answer: str = "") -> tuple[Signal, ...]:
        """Return the signs in a row; an edit is compared with the answer.

        Raises
        ------
        DataError
            If a rating is on no known scale.
        """
        found = [Signal("rating", quality, 1.0) for quality in self._ratings(row)]
        if any(_is_set(row.get(name)) for name in _RETRIES):
            found.append(Signal("retry", 0.0, _INDIRECT))
        for name in _EDITS:
            if _is_set(row.get(name)):
                found.append(Signal("edit", _kept(answer, row[name]), _INDIRECT))
                break
        return tuple(found)

    def _ratings(self, row: Mapping[str, Any]) -> Iterator[float]:
        for name, value in _named_ratings(row):
            if _plain(name) in self._names:
                quality = self._quality(name, value)
                if quality is not None:
                    yield quality

    def _quality(self, name: str, value: Any) -> float | None:
        if value is None or value == "" or isinstance(value, (Mapping, list)):
            return None
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str):
            said = _WORDS.get(_PLAIN.sub("", value.strip(" :").casefold()))
            if said is not None:
                return said
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise DataError(
                f"`{name}` must be a number or a word such as 'up' or 'down', got {value!r}."
            ) from None
        return None if math.isnan(number) else self._on_scale(name, number)

    def _on_scale(self, name: str, number: float) -> float:
        if self._scale is not None:
            low, high = self._scale
            if not low <= number <= high:
                raise DataError(f"`{name}` must lie in [{low:g}, {high:g}], got {number:g}.")
            return (number - low) / (high - low)
        if number == -1.0:
            return 0.0
        if not 0.0 <= number <= 1.0:
            raise DataError(
                f"`{name}` must lie in [0, 1] or be -1, got {number:g}. For grades pass "
                "`--scale LOW:HIGH` (`scale=`), as 1:5."
            )
        return number


def feedback_quality(signals: Sequence[Signal]) -> tuple[float, float]:
    """Return the weighted mean quality of signs, and their weight together; NaN and 0 for none.

    Examples
    --------
    >>> feedback_quality([Signal("rating", 1.0, 1.0), Signal("retry", 0.0, 0.5)])
    (0.6666666666666666, 1.5)
    """
    weight = math.fsum(signal.weight for signal in signals)
    if weight == 0.0:
        return math.nan, 0.0
    return math.fsum(signal.quality * signal.weight for signal in signals) / weight, weight


def _named_ratings(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values: the row's own fields, and LangSmith's and Langfuse's collections."""
    yield from row.items()
    metadata = _decoded(row.get("metadata"))
    if isinstance(metadata, Mapping):
        yield from metadata.items()
    for place in ("feedback", "feedbacks", "scores", "feedback_stats"):
        value = _decoded(row.get(place))
        if isinstance(value, list):
            yield from ((_name(one), _value(one)) for one in value if isinstance(one, Mapping))
        elif isinstance(value, Mapping):
            yield place, _value(value)
            yield from ((str(name), _value(one)) for name, one in value.items())


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("key") or entry.get("name") or "")


def _value(entry: Any) -> Any:
    """Return the value of a score: itself, or the field that holds it."""
    if not isinstance(entry, Mapping):
        return entry
    fields = ("score", "value", "stringValue", "avg", "average")
    return next((entry[name] for name in fields if entry.get(name) is not None), None)


def _is_set(value: Any) -> bool:
    """Return whether a mark is there: not empty, 0, false or NaN."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "none", "null")
    return bool(value) and value == value


def _kept(answer: str, edited: Any) -> float:
    """Return how much of an answer an edit kept, by words; half where the edit is not told."""
    if not isinstance(edited, str) or edited.strip().lower() in ("true", "yes", "1") or not answer:
        return 0.5
    first, second = answer.split()[:_MAX_WORDS], edited.split()[:_MAX_WORDS]
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def _plain(name: str) -> str:
    return _PLAIN.sub("", name.casefold())


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
