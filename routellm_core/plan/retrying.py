"""How often and how long one call may be tried, and which errors are worth another model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError
from routellm_core.policy.faults import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NO_RETRIES", "RetrySettings", "escalation_filter"]


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often and how long one call may be tried.

    Parameters
    ----------
    retries
        Further tries of the same model after a transient fault, at least 0. Provider clients
        retry by themselves; ask for retries here where they do not.
    backoff_s, max_backoff_s
        The first pause and the longest, in seconds, at least 0. Pauses double and are drawn
        between half and all of their length.
    deadline_s
        Seconds, above 0, after which no further attempt begins; None means never. Where calls are
        asynchronous an attempt without content is given up then, too.
    attempt_timeout_s
        Seconds, above 0, that one attempt may take until its first content; None means any time.
        It holds where calls are asynchronous. A synchronous call cannot be given up from outside:
        set the timeout of the model's own client, which bounds both kinds.

    Raises
    ------
    ConfigurationError
        If a number is out of its range.
    """

    retries: int = 0
    backoff_s: float = 0.5
    max_backoff_s: float = 8.0
    deadline_s: float | None = None
    attempt_timeout_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("retries", "backoff_s", "max_backoff_s"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(
                    f"`{name}` must be at least 0, got {getattr(self, name)!r}."
                )
        for name in ("deadline_s", "attempt_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise ConfigurationError(f"`{name}` must be above 0, got {value!r}.")


NO_RETRIES = RetrySettings()


def escalation_filter(
    escalate_on: tuple[type[BaseException], ...] | None,
) -> Callable[[BaseException], bool]:
    """Return the test that an error must pass for another model to be tried.

    Parameters
    ----------
    escalate_on
        None: errors that another model may not have, as `fault_of` tells them ("transient",
        "capacity" and "answer"). Otherwise exactly these classes; () means never.
    """
    if escalate_on is None:
        return lambda error: fault_of(error) in ("transient", "capacity", "answer")
    return lambda error: isinstance(error, escalate_on)
