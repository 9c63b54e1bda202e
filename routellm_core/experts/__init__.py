"""Experts: the models that a call may go to, and what each can take."""

from routellm_core.experts.capabilities import BYTES_PER_TOKEN, Capabilities
from routellm_core.experts.table import Expert, ExpertTable, check_answer_tokens
from routellm_core.experts.variants import (
    EFFORT_SETTINGS,
    SHOWN_SETTINGS,
    Variant,
    bare_model,
    check_settings,
    effort_pair,
    missing_setting,
    model_and_settings,
    sets_effort,
    with_settings,
    without_unset_effort,
)

__all__ = [
    "BYTES_PER_TOKEN",
    "EFFORT_SETTINGS",
    "SHOWN_SETTINGS",
    "Capabilities",
    "Expert",
    "ExpertTable",
    "Variant",
    "bare_model",
    "check_answer_tokens",
    "check_settings",
    "effort_pair",
    "missing_setting",
    "model_and_settings",
    "sets_effort",
    "with_settings",
    "without_unset_effort",
]
