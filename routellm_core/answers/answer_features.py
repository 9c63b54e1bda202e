"""What is seen of an answer without understanding it: numbers for the learned verifier."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.answers.final_answers import number_of, words_of
from routellm_core.answers.refusals import refusal_language
from routellm_core.embedders.base import unit_rows
from routellm_core.policy.answers import is_cut_off

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.answers.content import Answer, Prompt

__all__ = ["FEATURE_NAMES", "answer_features", "joined_inputs"]

FEATURE_NAMES = (
    "win_rate",
    "mean_logprob",
    "least_logprob",
    "log_chars",
    "log_length_ratio",
    "log_lines",
    "refusal",
    "hedge",
    "cut_off",
    "unfinished",
    "open_fence",
    "empty",
    "tool_calls",
    "has_number",
    "repetition",
    "echo",
)
"""Names of the features, in order."""

_READ_CHARS = 20_000
_END_MARKS = frozenset(".!?:;)]}\"'`*|>。！？」』）।؟…%$")
_GRAM = 5
_HEDGES = (
    "i'm not sure", "i am not sure", "i don't know", "i do not know", "i'm not certain",
    "as an ai", "i don't have access", "i do not have access", "it is difficult to say",
    "je ne suis pas sûr", "je ne sais pas", "en tant qu'ia",
    "ich bin mir nicht sicher", "ich weiß nicht", "als ki",
    "no estoy seguro", "no lo sé", "como ia",
    "não tenho certeza", "não sei", "non sono sicuro", "non lo so",
    "я не уверен", "я не знаю", "我不确定", "我不知道", "作为人工智能",
    "わかりません", "確信が持てません", "확실하지 않", "모르겠",
    "لست متأكد", "لا أعرف", "मुझे यकीन नहीं", "मुझे नहीं पता",
)  # fmt: skip


def answer_features(
    prompts: Sequence[Prompt], answers: Sequence[Answer], logprobs: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return the features named by `FEATURE_NAMES` of n answers.

    Parameters
    ----------
    prompts, answers
        n each. An answer's tokens give its log-probabilities.
    logprobs
        The mean log-probability of each answer's tokens, NaN where it is not known: for answers
        whose tokens were not kept.

    Returns
    -------
    Shape (n, 16), finite or NaN for what is not known.
    """
    rows = [_features(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    features = np.array(rows, dtype=np.float64).reshape(-1, len(FEATURE_NAMES))
    if logprobs is not None:
        column = FEATURE_NAMES.index("mean_logprob")
        given = np.asarray(logprobs, dtype=np.float64)
        features[:, column] = np.where(np.isnan(given), features[:, column], given)
    return features


def joined_inputs(
    features: NDArray[np.float64],
    prompt_vectors: NDArray[np.floating],
    answer_vectors: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return what a learned verifier reads: features, cosine, and both embeddings.

    Parameters
    ----------
    features
        Shape (n, f).
    prompt_vectors, answer_vectors
        Shape (n, d) each.

    Returns
    -------
    Shape (n, f + 1 + 2 d).
    """
    cosines = (unit_rows(prompt_vectors) * unit_rows(answer_vectors)).sum(axis=1)
    return np.column_stack([features, cosines, prompt_vectors, answer_vectors])


def _features(prompt: Prompt, answer: Answer) -> list[float]:
    text = answer.text[:_READ_CHARS]
    stripped = text.strip()
    lowered = stripped.lower().replace("’", "'")
    logprobs = answer.logprobs
    asked, said = len(prompt.text), len(answer.text)
    cut_off = is_cut_off(answer.finish_reason)
    refused = bool(answer.refusal) or refusal_language(text) is not None
    return [
        math.nan if prompt.win_rate is None else prompt.win_rate,
        sum(logprobs) / len(logprobs) if logprobs else math.nan,
        min(logprobs) if logprobs else math.nan,
        math.log1p(said),
        math.log1p(said) - math.log1p(asked),
        math.log1p(stripped.count("\n")),
        float(refused),
        float(any(hedge in lowered for hedge in _HEDGES)),
        # A reason that is not known tells neither.
        math.nan if answer.finish_reason is None else float(cut_off),
        float(bool(stripped) and len(stripped) > 60 and stripped[-1] not in _END_MARKS),
        float(stripped.count("```") % 2),
        float(not stripped),
        float(bool(answer.tool_calls)),
        float(number_of(text) is not None),
        *_repeats(words_of(text).split(), words_of(prompt.text[:_READ_CHARS]).split()),
    ]


def _repeats(said: list[str], asked: list[str]) -> tuple[float, float]:
    """Return which share of the answer's runs of five words came before: in itself, in the prompt.

    Texts without blanks between words, as in Chinese, have few runs, and shares near 0.
    """
    runs = [tuple(said[start : start + _GRAM]) for start in range(len(said) - _GRAM + 1)]
    if not runs:
        return 0.0, 0.0
    known = {tuple(asked[start : start + _GRAM]) for start in range(len(asked) - _GRAM + 1)}
    repeated = 1.0 - len(set(runs)) / len(runs)
    return repeated, sum(run in known for run in runs) / len(runs)
