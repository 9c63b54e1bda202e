"""What answers used, and the steps of a call."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VERIFIER_OUTCOMES", "StepRecord", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer used, as far as its provider said.

    Parameters
    ----------
    input_tokens, output_tokens
        Tokens read and written, at least 0; None when they were not counted.
    model
        The model that answered, as the provider calls it.
    reasoning_tokens
        Those of `output_tokens` that the model spent on thinking; None when they were not counted.
    cached_tokens, cache_write_tokens
        How many of the tokens read came from the provider's prompt cache, and how many it wrote to
        it; None where it did not say.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None

    @classmethod
    def counted(
        cls,
        read: int,
        written: int,
        model: str | None = None,
        *,
        reasoning: object = None,
        total: object = None,
    ) -> Usage:
        """Return what a provider's counts mean: reasoning is paid for as output.

        Most providers count reasoning among the tokens written. Some count it beside them, which
        their total tells: then it is added.

        Parameters
        ----------
        read, written
            Tokens, as the provider says.
        model
            See `Usage`.
        reasoning, total
            The provider's counts; anything but a number counts as none.

        Examples
        --------
        >>> Usage.counted(10, 300, reasoning=250, total=310).output_tokens
        300
        >>> Usage.counted(10, 50, reasoning=250, total=310).output_tokens
        300
        """
        if type(reasoning) is not int or reasoning < 0:
            return cls(read, written, model)
        if reasoning and total == read + written + reasoning:
            written += reasoning
        return cls(read, written, model, reasoning)


VERIFIER_OUTCOMES = ("sample", "verdict")
"""Outcomes of steps that a verifier asked of a model."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a call that took several, for its record.

    Parameters
    ----------
    expert, model
        Who was asked.
    outcome
        "accepted", "rejected", "answered", "abandoned" by the caller, "late" beside experts that
        were asked at the same time, or "failed:<error class>". At most one step of a call is
        "accepted" or "answered". "sample" and "verdict" are what a verifier asked of a model, which
        comes before the draft that it scored.
    score
        The verifier's, in [0, 1]; None when there is none.
    seconds
        From asking to the outcome, with the verifier's time.
    usage
        What the answer used; None when nobody counted.
    """

    expert: str
    model: str
    outcome: str
    score: float | None = None
    seconds: float | None = None
    usage: Usage | None = None
