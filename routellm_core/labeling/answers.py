"""The answers of the models: those that the log holds, and those that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.answers.texts import sendable
from routellm_core.labeling.calls import Call, Plan, Reply, user_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.labeling.logged import LoggedPrompt

__all__ = ["answer_calls", "answers_plan"]


def answer_calls(
    prompt: LoggedPrompt, model: str, *, max_tokens: int, n_samples: int, redact: bool
) -> list[Call]:
    """Return the calls that give a model's answers; none where the log holds its answer.

    Several samples are drawn at temperature 1, a single one at 0.
    """
    if n_samples == 1 and prompt.answers.get(model, "").strip():
        return []
    said = prompt.messages or (user_message(prompt.prompt),)
    messages = tuple({**m, "content": sendable(m["content"], redact=redact)} for m in said)
    temperature = 0.0 if n_samples == 1 else 1.0
    return [
        Call(model, messages, max_tokens, sample=sample, temperature=temperature)
        for sample in range(n_samples)
    ]


def answers_plan(
    prompt: LoggedPrompt,
    models: Sequence[str],
    *,
    max_tokens: int,
    n_samples: int = 1,
    redact: bool = True,
) -> Plan[dict[str, list[Reply]] | None]:
    """Plan the answers of models; the plan returns None when one failed for good."""
    wanted = {
        model: answer_calls(
            prompt, model, max_tokens=max_tokens, n_samples=n_samples, redact=redact
        )
        for model in models
    }
    replies = yield [call for calls in wanted.values() for call in calls]
    if any(reply is None for reply in replies):
        return None
    given = iter(reply for reply in replies if reply is not None)
    found: dict[str, list[Reply]] = {}
    for model, calls in wanted.items():
        found[model] = [next(given) for _ in calls] or [Reply(prompt.answers[model])]
    return found
