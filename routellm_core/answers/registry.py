"""Names of verifiers, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from routellm_core._registered import make_registered, registered_names
from routellm_core.answers.verifier import Verifier

__all__ = ["VERIFIER_ENTRY_POINT_GROUP", "load_verifier", "verifier_names"]

VERIFIER_ENTRY_POINT_GROUP = "routellm.verifiers"
"""Packages register verifiers of their own under this group: `name = "module:callable"`."""

_BUILT_IN = {
    "all_of": "routellm_core.answers.combining:all_of",
    "any_of": "routellm_core.answers.combining:any_of",
    "calibrated": "routellm_core.answers.score_calibration:calibrated",
    "check": "routellm_core.answers.checks:check",
    "consistency": "routellm_core.answers.agreement:consistency",
    "first_failing": "routellm_core.answers.combining:first_failing",
    "judge": "routellm_core.answers.judging:judge",
    "learned": "routellm_core.answers.learned_verifier:learned",
    "logprob": "routellm_core.answers.logprobs:logprob",
    "mean_of": "routellm_core.answers.combining:mean_of",
    "no_refusal": "routellm_core.answers.refusals:no_refusal",
    "schema": "routellm_core.answers.schemas:schema",
}


def verifier_names() -> list[str]:
    """Return every registered name, sorted: built in, and from installed packages."""
    return registered_names(VERIFIER_ENTRY_POINT_GROUP, _BUILT_IN)


def load_verifier(name: str, *arguments: Any, **options: Any) -> Verifier:
    """Return the verifier that a name and its options stand for.

    A built-in name cannot be taken over by an installed package.

    Parameters
    ----------
    name
        See `verifier_names`; "learned=CHECKPOINT", or the folder of a learned verifier.
    arguments, options
        Passed to the verifier's function; a combination takes its verifiers.

    Raises
    ------
    ConfigurationError
        If nobody registered the name, what is registered makes no verifier, or an option is wrong.
    """
    checkpoint = None if name in verifier_names() else _checkpoint_of(str(name))
    if checkpoint is not None:
        return load_verifier("learned", checkpoint, *arguments, **options)
    made: Verifier = make_registered(
        "verifier", name, VERIFIER_ENTRY_POINT_GROUP, _BUILT_IN, Verifier, arguments, options
    )
    return made


def _checkpoint_of(name: str) -> str | None:
    """Return the checkpoint of a learned verifier that a name states; None where it states none."""
    head, equals, checkpoint = name.partition("=")
    if equals and head == "learned":
        return checkpoint
    return name if os.sep in name or "/" in name or Path(name).is_dir() else None
