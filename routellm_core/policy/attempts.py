"""What to try next when a model fails: the attempt machine.

It does no input or output. A caller asks for the decision, makes the call, and reports what
happened; sync and async callers drive the same object. One call, one machine: nothing is shared.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from routellm_core.policy.faults import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from routellm_core.types import Decision

__all__ = ["Attempts", "escalation_filter"]

logger = logging.getLogger(__name__)


def escalation_filter(
    escalate_on: tuple[type[BaseException], ...] | None,
) -> Callable[[BaseException], bool]:
    """Return the test that an error must pass for another model to be tried.

    Parameters
    ----------
    escalate_on
        None: errors that another model may not have, as `fault_of` tells them ("transient" and
        "capacity"). Otherwise exactly these classes; () means never.
    """
    if escalate_on is None:
        return lambda error: fault_of(error) in ("transient", "capacity")
    return lambda error: isinstance(error, escalate_on)


class Attempts:
    """Follow one call from its decision to its answer.

    Until the first content or tool-call chunk reached the caller, a failed weak model is followed
    by the strong one; after it, never. The strong model never falls back to the weak one, and a
    cancellation is never an occasion to try again.

    Parameters
    ----------
    decision
        Where the call goes first.
    strong_model
        Name of the strong model, for the record of an escalation.
    worth_escalating
        The test that an error must pass.
    """

    __slots__ = ("_committed", "_strong_model", "_worth_escalating", "decision")

    def __init__(
        self,
        decision: Decision,
        *,
        strong_model: str,
        worth_escalating: Callable[[BaseException], bool],
    ) -> None:
        self.decision = decision
        self._strong_model = strong_model
        self._worth_escalating = worth_escalating
        self._committed = False

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another attempt."""
        return not self._committed and self.decision.route != "strong"

    def commit(self) -> None:
        """Note that content reached the caller: from here on every error is final."""
        self._committed = True

    def failed(self, error: BaseException) -> bool:
        """Report an error; return whether to try again with the new `decision`.

        On False the caller raises the error as it is.
        """
        if (
            not self.may_escalate
            or not isinstance(error, Exception)
            or not self._worth_escalating(error)
        ):
            return False
        failed = self.decision
        self.decision = replace(
            failed,
            route="strong",
            model=self._strong_model,
            reason=f"escalation:{type(error).__name__}",
        )
        logger.warning(
            "Model %r failed with %s; escalating to %r.",
            failed.model,
            type(error).__name__,
            self._strong_model,
        )
        return True
