"""Scores of an answer: verifiers for cascades and best-of, and similarities of texts."""

from routellm_core.answers.combining import all_of, any_of, first_failing, mean_of
from routellm_core.answers.content import Answer, Prompt, Token, ToolCall
from routellm_core.answers.registry import (
    VERIFIER_ENTRY_POINT_GROUP,
    load_verifier,
    verifier_names,
)
from routellm_core.answers.schemas import schema
from routellm_core.answers.steps import Ask, Invocation, Plan, Request, Step, arun, run, together
from routellm_core.answers.verifier import Score, Verifier, Watch

__all__ = [
    "VERIFIER_ENTRY_POINT_GROUP",
    "Answer",
    "Ask",
    "Invocation",
    "Plan",
    "Prompt",
    "Request",
    "Score",
    "Step",
    "Token",
    "ToolCall",
    "Verifier",
    "Watch",
    "all_of",
    "any_of",
    "arun",
    "first_failing",
    "load_verifier",
    "mean_of",
    "run",
    "schema",
    "together",
    "verifier_names",
]
