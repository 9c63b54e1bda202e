"""What every verifier is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.answers.content import as_answer, as_prompt
from routellm_core.answers.steps import arun, run
from routellm_core.errors import ConfigurationError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt, Token
    from routellm_core.answers.steps import Ask, Plan

__all__ = ["Score", "Verifier", "Watch", "check_level"]


@dataclass(frozen=True, slots=True)
class Score:
    """How good an answer seems.

    Parameters
    ----------
    value
        In [0, 1]; higher is better. Values of two verifiers may be compared once both are
        calibrated: see `calibrate_verifier`.
    reason
        A few words for records and logs; none of the prompt's or the answer's.
    raw
        The number that was measured, in the verifier's own unit; None where that is `value`.
    """

    value: float
    reason: str
    raw: float | None = None


class Watch:
    """An answer that is still being written, and that may be rejected before its end."""

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:
        """Read what was written since the last call.

        Parameters
        ----------
        text
            More characters of the answer's text.
        tokens
            More tokens, where the provider sends log-probabilities.

        Returns
        -------
        A score below the level of acceptance as soon as the whole answer will not reach that
        level, and from then on; None before.
        """
        raise NotImplementedError


class Verifier:
    """The base of everything that scores an answer to a prompt.

    A subclass implements `_score`, or `_plan` where it needs a model or a function that takes its
    time, and may implement `watch`. No verifier calls a model itself: it yields what it needs, and
    the caller's function asks.
    """

    name: str = ""
    """What records call it."""

    top_logprobs: int | None = None
    """How many alternatives of each token the answer should come with; None when the verifier does
    not read log-probabilities."""

    is_calibrated: bool = False
    """Whether a score is the probability that the answer is good enough."""

    def score(self, prompt: Prompt | str, answer: Answer | str, *, ask: Ask | None = None) -> Score:
        """Score an answer.

        Parameters
        ----------
        ask
            Takes a `Request` and returns the model's text or an `Answer`; for verifiers that need
            a model and were made without one.

        Raises
        ------
        VerifierError
            If the answer lacks what the verifier reads, or the verifier failed.
        ConfigurationError
            If a model is needed and `ask` is missing, or a function is asynchronous.
        """
        return run(self.plan(prompt, answer), ask=ask)

    async def ascore(
        self, prompt: Prompt | str, answer: Answer | str, *, ask: Ask | None = None
    ) -> Score:
        """Do what `score` does, without blocking the event loop.

        `ask` may be asynchronous; if it is not, it runs in a thread.
        """
        return await arun(self.plan(prompt, answer), ask=ask)

    def plan(self, prompt: Prompt | str, answer: Answer | str) -> Plan[Score]:
        """Plan a score for a driver of your own, which takes the steps that the plan yields."""
        score = yield from self._plan(as_prompt(prompt), as_answer(answer))
        if not (isinstance(score.value, (int, float)) and 0.0 <= score.value <= 1.0):
            raise VerifierError(
                f"Verifier {self.name!r} must score in [0, 1], got {score.value!r}."
            )
        return score

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:  # noqa: ARG002
        """Start to watch an answer while it is written.

        Parameters
        ----------
        accept
            An answer whose score is at least this high will be accepted.

        Returns
        -------
        None when only a whole answer can be rejected.
        """
        return None

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        yield from ()
        return self._score(prompt, answer)

    def _score(self, prompt: Prompt, answer: Answer) -> Score:
        raise NotImplementedError(f"{type(self).__name__} implements neither `_score` nor `_plan`.")

    def __repr__(self) -> str:
        return f"<verifier {self.name}>"


def check_level(value: float, *, name: str = "accept") -> float:
    """Return a level of acceptance, any finite number: 0 accepts all, above 1 nothing.

    Raises
    ------
    ConfigurationError
        If it is something else.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and math.isfinite(value)):
        raise ConfigurationError(f"`{name}` must be a finite number, got {value!r}.")
    return float(value)
