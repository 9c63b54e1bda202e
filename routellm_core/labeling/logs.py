"""Read what is to be labelled: prompts from any log, with the answers and signs that it holds."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.data.rows import RowReport, parse_rows
from routellm_core.evaluation.logged_calls import input_of
from routellm_core.labeling.logged import LoggedPrompt, Signal, merged
from routellm_core.labeling.logged_fields import (
    answers_of,
    conversation,
    logged_model,
    reference_of,
)
from routellm_core.monitoring.call_logs import (
    LoggedNotes,
    is_call_record,
    is_note,
    log_parts,
    read_notes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.data.rows import RowSource
    from routellm_core.labeling.feedback import FeedbackReader

__all__ = ["LoggedPrompts", "read_logged_prompts"]

_SESSIONS = ("session_id", "sessionId", "thread_id", "conversation_id", "user_id", "userId")
_RETRY = Signal("retry", 0.0, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedPrompts:
    """What a log holds.

    Parameters
    ----------
    prompts
        One for each text and conversation, in the order of the log.
    report
        What was read, and which rows were bad.
    """

    prompts: tuple[LoggedPrompt, ...]
    report: RowReport

    def __len__(self) -> int:
        return len(self.prompts)


def read_logged_prompts(
    source: RowSource,
    *,
    field: str | None = None,
    reference_field: str | None = None,
    model: str | None = None,
    feedback: FeedbackReader | None = None,
) -> LoggedPrompts:
    """Read prompts, and the answers, known answers and feedback beside them.

    Parameters
    ----------
    source
        As for `routellm_core.evaluation.logged_calls.read_logged_calls`: prompts, calls in
        OpenAI's format, LangSmith runs and data sets, Langfuse observations, or the log of a
        `Monitor` that keeps prompts, whose renamed files are read as well, with the outcomes and
        the shadow answers that belong to its calls. Answers are found where
        these keep them, or in `answers`, by model; known answers in `reference`, `expected_output`
        and the like.
    field, reference_field
        Where the prompt and the known answer are, when it is elsewhere; use dots for nested fields.
    model
        Who answered, where rows do not say.
    feedback
        Reads what users did with answers; by default nobody does. A question that is asked twice
        in a row within a session counts as a retry.

    Raises
    ------
    DataError
        If the source cannot be read, or no row has a prompt.
    """
    source = source if isinstance(source, (str, Path)) else list(source)
    notes = read_notes(source) or LoggedNotes()
    found: list[LoggedPrompt] = []
    latest: dict[str, tuple[str, int]] = {}

    def parse(row: Mapping[str, Any], _: int) -> None:
        if is_note(row):  # read with its call
            return
        if is_call_record(row) and row["call_id"] in notes.shadows:
            row = {**row, **_shadowed(notes.shadows[row["call_id"]])}
        asked = input_of(row, field)
        messages = conversation(asked.messages)
        if len(messages) == 1 and messages[0]["content"] == asked.text:
            messages = ()
        answers = answers_of(row, asked.messages, model=model)
        who = logged_model(row) or model or ""
        signals = feedback.signals(row, answers.get(who, "")) if feedback is not None else ()
        score = notes.scores.get(str(row.get("call_id"))) if is_call_record(row) else None
        if feedback is not None and score is not None:
            signals = (*signals, Signal("rating", score, 1.0))
        found.append(
            LoggedPrompt(
                _without_halves(asked.text),
                messages,
                answers,
                reference_of(row, reference_field),
                {who: signals} if who and signals else {},
            )
        )
        session = next((str(row[name]) for name in _SESSIONS if row.get(name)), None)
        if feedback is not None and session is not None:
            _mark_retry(found, latest.get(session), asked.text, who)
            latest[session] = asked.text, len(found) - 1

    reports = [parse_rows(part, parse, strict=False) for part in log_parts(source)]
    return LoggedPrompts(tuple(merged(found)), _total(reports))


def _mark_retry(
    found: list[LoggedPrompt], before: tuple[str, int] | None, text: str, who: str
) -> None:
    """Note that the answer before was not what its user wanted: the question is asked again."""
    if before is None or _form(before[0]) != _form(text):
        return
    earlier = found[before[1]]
    for model in earlier.answers or ((who,) if who else ()):
        signals = earlier.feedback.get(model, ())
        if not any(signal.kind == "retry" for signal in signals):
            found[before[1]] = earlier = replace(
                earlier, feedback={**earlier.feedback, model: (*signals, _RETRY)}
            )


def _shadowed(shadow: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call's record lacks and its shadow has: the conversation and both answers."""
    prompt = shadow.get("prompt")
    return {
        "prompt": prompt,
        "prompt_chars": len(prompt) if isinstance(prompt, str) else 0,
        "answers": shadow["answers"],
        **({"messages": shadow["messages"]} if shadow.get("messages") else {}),
    }


def _total(reports: list[RowReport]) -> RowReport:
    shown = tuple(rows for report in reports for rows in report.shown)
    return RowReport(
        sum(report.n_rows for report in reports), sum(report.n_bad for report in reports), shown
    )


def _form(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _without_halves(text: str) -> str:
    """Return a text without half surrogate pairs, which no request and no file can carry."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
