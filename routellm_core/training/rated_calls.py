"""Calls of our own log as outcomes, where their users said how good the answers were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.data.rows import numbered_rows, source_name
from routellm_core.errors import DataError
from routellm_core.monitoring.call_logs import is_call_record, log_parts, whole_prompt

if TYPE_CHECKING:
    from routellm_core.data.rows import RowSource
    from routellm_core.monitoring.call_logs import LoggedNotes

__all__ = ["rated_calls"]


def rated_calls(source: RowSource, notes: LoggedNotes) -> list[dict[str, Any]]:
    """Return outcomes: of each rated call its prompt, model, quality and cost.

    Parameters
    ----------
    source
        The log.
    notes
        What it says of its calls.

    Raises
    ------
    DataError
        If no call with a whole prompt was rated.
    """
    found: list[dict[str, Any]] = []
    n_calls = n_without = 0
    for part in log_parts(source):
        for _, row in numbered_rows(part):
            if isinstance(row, DataError) or not is_call_record(row):
                continue
            n_calls += 1
            score = notes.scores.get(str(row["call_id"]))
            if score is None:
                continue
            prompt = whole_prompt(row)
            n_without += prompt is None
            if prompt is not None:
                found.append(
                    {
                        "prompt": prompt, "model": row.get("model"), "quality": score,
                        "cost": row.get("cost_usd"),
                    }
                )  # fmt: skip
    if found:
        return found
    if n_without:
        raise DataError(
            f"{source_name(source)} holds no whole prompt of the {n_without:,} calls that were "
            "rated. Log whole prompts with `Monitor(..., keep_prompt_chars=100_000)`."
        )
    raise DataError(
        f"{source_name(source)} holds {n_calls:,} calls and no outcome of any. Record outcomes "
        "(`record_outcome`, `POST /v1/outcomes`), or label the calls with `routellm label`."
    )
