"""What a log says of a call after its record: another model's answer, and how good an answer was.

A note is a line of its own beside the records of calls, which its `call_id` joins to its call.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from routellm_core.errors import ConfigurationError, DataError
from routellm_core.monitoring.records import FORMAT_VERSION, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MAX_COMMENT_CHARS", "CallNote", "OutcomeRecord", "Score", "ShadowRecord", "check_call_id",
    "read_note", "score_of",
]  # fmt: skip

MAX_COMMENT_CHARS = 2000
"""The longest comment of an outcome."""

Score: TypeAlias = "float | bool | Literal['up', 'down']"
"""How good an answer was: in [0, 1], or a thumb."""

_CALL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{1,16}-[0-9a-f]{1,16}")
_THUMBS = {"up": 1.0, "down": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRecord:
    """The answer of a model that was asked besides the one whose answer the caller got.

    Parameters
    ----------
    call_id
        Of the call.
    started_at
        When the model was asked, in seconds since 1970, UTC.
    outcome
        "answered", "failed", or "late": answered or failed after the timeout.
    route, model
        Who was asked.
    share
        How probable it was that this model was asked, in (0, 1].
    ms
        How long it took.
    error
        Class of the error.
    answered_model
        The model's name in its answer.
    input_tokens, output_tokens
        As counted by the provider; None when they were not.
    cost_usd
        Price of the answer, in US dollars; None when a price or a count is unknown.
    prompt, messages
        The routed text and the conversation in OpenAI's shape; None unless keeping prompts was
        asked for, and where they are longer than that allows.
    answers
        Both answers by model: what the caller got, and what this model said. Kept with `prompt`.
    """

    kind: ClassVar[str] = "shadow"

    call_id: str
    started_at: float
    outcome: Literal["answered", "failed", "late"]
    route: str
    model: str
    share: float
    ms: float
    error: str | None = None
    answered_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    answers: Mapping[str, str] | None = None

    def to_json(self) -> str:
        """Return the record as one line of JSON, without its line break."""
        return _line(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """What the user of an answer said of it.

    Parameters
    ----------
    call_id
        Of the call.
    recorded_at
        In seconds since 1970, UTC.
    score
        In [0, 1]; a thumb up is 1, a thumb down 0.
    comment
        In the user's words, at most 2,000 characters.
    """

    kind: ClassVar[str] = "outcome"

    call_id: str
    recorded_at: float
    score: float
    comment: str | None = None

    def __post_init__(self) -> None:
        check_call_id(self.call_id)
        score_of(self.score)
        if self.comment is not None and len(self.comment) > MAX_COMMENT_CHARS:
            raise ConfigurationError(
                f"`comment` must have at most {MAX_COMMENT_CHARS:,} characters, got "
                f"{len(self.comment):,}."
            )

    def to_json(self) -> str:
        """Return the record as one line of JSON, without its line break."""
        return _line(self)


CallNote: TypeAlias = "ShadowRecord | OutcomeRecord"
"""What a log holds beside the records of calls."""


def check_call_id(call_id: str) -> None:
    """Refuse what cannot be the id of a call.

    Raises
    ------
    ConfigurationError
        If it is none.
    """
    if not isinstance(call_id, str) or not _CALL_ID.fullmatch(call_id):
        shown = f"{call_id[:64]!r}" if isinstance(call_id, str) else type(call_id).__name__
        raise ConfigurationError(
            "`call_id` must be the one that an answer carries beside its decision, as "
            f"'1f0c9a3e-4d2-7', got {shown}."
        )


def score_of(score: Score) -> float:
    """Return a score as a number.

    Raises
    ------
    ConfigurationError
        If it is neither in [0, 1] nor a thumb.

    Examples
    --------
    >>> score_of("up"), score_of(False), score_of(0.7)
    (1.0, 0.0, 0.7)
    """
    if isinstance(score, str) and score in _THUMBS:
        return _THUMBS[score]
    if isinstance(score, (bool, int, float)) and 0.0 <= score <= 1.0:
        return float(score)
    shown = f"{score[:64]!r}" if isinstance(score, str) else repr(score)
    raise ConfigurationError(f"`score` must lie in [0, 1] or be 'up' or 'down', got {shown}.")


def read_note(line: str | bytes) -> CallNote:
    """Return the note that a line of a log holds; fields of later versions are left out.

    Raises
    ------
    DataError
        If it holds none.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"Not a note of a call: {error}.") from None
    record = _KINDS.get(str(values.get("kind"))) if isinstance(values, dict) else None
    if record is None:
        raise DataError("Not a note of a call: its `kind` is unknown.")
    known = {field.name for field in fields(record)}
    try:
        made: CallNote = record(**{name: values[name] for name in values if name in known})
    except (TypeError, ConfigurationError) as error:
        raise DataError(f"Not a note of a call: {error}") from None
    if isinstance(made, ShadowRecord):
        _check_shadow(made)
    return made


_KINDS: Mapping[str, Any] = {"shadow": ShadowRecord, "outcome": OutcomeRecord}


def _check_shadow(record: ShadowRecord) -> None:
    """Refuse what the figures of a log could not be made of."""
    check = isinstance(record.share, (int, float)) and 0.0 < record.share <= 1.0
    if not check or not isinstance(record.call_id, str):
        raise DataError("Not a note of a call: `share` must lie in (0, 1].")
    cost = record.cost_usd
    if cost is not None and not (isinstance(cost, (int, float)) and math.isfinite(cost)):
        raise DataError("Not a note of a call: `cost_usd` must be a number.")


def _line(note: CallNote) -> str:
    values: dict[str, Any] = {"kind": note.kind, "v": FORMAT_VERSION}
    for field in fields(note):
        value = getattr(note, field.name)
        if value is not None:
            values[field.name] = value
    return json_of(values)
