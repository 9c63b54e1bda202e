"""How another model is asked in the background: within which limits, and by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.answers.content import Answer
    from routellm_core.types import Usage

__all__ = ["AskOther", "OtherAnswer", "ShadowSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSettings:
    """How often another model is asked, and what for.

    Parameters
    ----------
    share
        In (0, 1]: the share of the calls that a router decides.
    budget_usd
        US dollars a day, above 0, for the other models' answers, by the monitor's prices; None for
        no cap. A model without a known price counts as free.
    timeout_s
        Seconds, above 0, that an answer may take; a later one is kept as "late". The clients of
        models that are made elsewhere have timeouts of their own, which end an answer.
    seed
        Of the choice of calls; None for another one in each process.
    concurrency
        The most models that are asked at a time, at least 1.
    queue_size
        The most calls that wait for that, at least 1; of more the other model is not asked.

    Raises
    ------
    ConfigurationError
        If a value cannot be used.
    """

    share: float = 0.01
    budget_usd: float | None = 1.0
    timeout_s: float = 60.0
    seed: int | None = None
    concurrency: int = 2
    queue_size: int = 64

    def __post_init__(self) -> None:
        check_fraction(self.share, name="share", within="(0, 1]")
        for name in ("budget_usd", "timeout_s"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ConfigurationError(f"`{name}` must be above 0, got {value!r}.")
        for name in ("concurrency", "queue_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(
                    f"`{name}` must be at least 1, got {getattr(self, name)!r}."
                )


class OtherAnswer(NamedTuple):
    """What the other model said.

    Parameters
    ----------
    answer
        As verifiers read it.
    usage
        What it used; None when nobody counted.
    """

    answer: Answer
    usage: Usage | None = None


class AskOther(Protocol):
    """Asks another expert what a call asked, in no other's sight."""

    def __call__(self, expert: str, /, *, timeout_s: float) -> OtherAnswer:
        """Return its answer, from a thread without the caller's context.

        No callback, tracer, cache, breaker or token counter of the caller hears of it, and no tool
        that it calls is run.
        """
        ...
