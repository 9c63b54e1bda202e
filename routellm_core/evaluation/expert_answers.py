"""What n prompts' answers by m experts are worth, cost and take, as strategies are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.evaluation.metrics.arrays import Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.answers import Verifier
    from routellm_core.data.scored_outcomes import ScoredOutcomes
    from routellm_core.monitoring.endings import Pricing

__all__ = ["ExpertAnswers", "scores_of"]

_LIMITS = {"quality": (0.0, 1.0), "usd": (0.0, np.inf), "ms": (0.0, np.inf)}


@dataclass(frozen=True, slots=True, eq=False)
class ExpertAnswers:
    """Answers of m experts to n prompts, the cheapest expert first.

    Parameters
    ----------
    models
        m names.
    quality
        Shape (n, m), in [0, 1].
    usd
        Shape (n, m), US dollars of each answer, at least 0.
    ms
        Shape (n, m), milliseconds of each answer, at least 0; None where they are not known.
    scores
        Shape (n, m), a verifier's, in [0, 1]; NaN in a whole column of answers that have none, and
        None where no answer has one.
    verifier_usd, verifier_ms
        Shape (n, m): US dollars and milliseconds of each answer's score; a number for all.

    Raises
    ------
    ConfigurationError
        If shapes differ, or a value is outside its range.
    """

    models: tuple[str, ...]
    quality: Floats
    usd: Floats
    ms: Floats | None = None
    scores: Floats | None = None
    verifier_usd: Floats | float = 0.0
    verifier_ms: Floats | float = 0.0

    def __post_init__(self) -> None:
        shape = (len(self.quality), len(self.models))
        for name in ("verifier_usd", "verifier_ms"):
            wide = np.broadcast_to(np.asarray(getattr(self, name), dtype=np.float64), shape)
            object.__setattr__(self, name, wide)
        for name, (low, high) in _LIMITS.items():
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != shape:
                raise ConfigurationError(f"`{name}` must have shape {shape}, got {array.shape}.")
            bad = bad_number(array, low=low, high=high)
            if bad:
                raise ConfigurationError(f"`{name}` must lie in [{low:g}, {high:g}], got {bad}.")
        if self.scores is not None and self.scores.shape != shape:
            raise ConfigurationError(f"`scores` must have shape {shape}, got {self.scores.shape}.")

    def __len__(self) -> int:
        return len(self.quality)

    def select(self, rows: NDArray[Any]) -> ExpertAnswers:
        """Return some of the prompts, by position or by mask."""
        return ExpertAnswers(
            self.models,
            self.quality[rows],
            self.usd[rows],
            None if self.ms is None else self.ms[rows],
            None if self.scores is None else self.scores[rows],
            np.asarray(self.verifier_usd)[rows],
            np.asarray(self.verifier_ms)[rows],
        )

    def scored(self, n: int) -> Floats:
        """Return the scores of the first n experts' answers: (prompts, n).

        Raises
        ------
        ConfigurationError
            If one is missing.
        """
        if self.scores is None:
            raise ConfigurationError(
                "The answers have no scores. Give the table a column `score`, or name a verifier "
                "that can score it: `--verifier logprob`, or a learned one's folder."
            )
        missing = np.isnan(self.scores[:, :n])
        if missing.any():
            column = int(missing.any(axis=0).argmax())
            raise ConfigurationError(
                f"{int(missing.any(axis=1).sum()):,} of {len(self):,} prompts lack a score of an "
                f"answer that the strategy scores, as of model {self.models[column]!r}."
            )
        return self.scores[:, :n]

    @classmethod
    def of(
        cls,
        table: ScoredOutcomes,
        *,
        pricing: Pricing,
        models: Sequence[str] | None = None,
        scores: Floats | None = None,
        verifier_usd: float = 0.0,
        verifier_ms: float = 0.0,
    ) -> tuple[ExpertAnswers, ScoredOutcomes]:
        """Return a table's answers and the rows that they come from, the cheapest model first.

        Parameters
        ----------
        table
            What was read.
        pricing
            Prices of models whose rows have token counts and no `cost`.
        models
            Which of the table's models take part; by default all.
        scores
            Shape (n, m) as the table's rows and models, in place of its column `score`.
        verifier_usd, verifier_ms
            What scoring an answer takes where the table does not say.

        Raises
        ------
        DataError
            If a cost is missing, or no prompt was answered by all models.
        UnknownModelError
            If the table lacks one of `models`.
        """
        if scores is not None:
            table = type(table)(table.outcomes, {**table.values, "score": scores}, table.answers)
        part = table.of_models(models or table.outcomes.models)
        usd = _costs(part, pricing)
        order = np.argsort(usd.mean(axis=0), kind="stable")
        names = [part.outcomes.models[place] for place in order]
        part, usd = part.of_models(names), usd[:, order]
        values = part.values
        ms = values["latency_ms"]
        return (
            cls(
                tuple(names),
                part.outcomes.quality,
                usd,
                ms if np.isfinite(ms).all() else None,
                values["score"] if np.isfinite(values["score"]).any() else None,
                np.where(np.isfinite(values["verifier_usd"]), values["verifier_usd"], verifier_usd),
                np.where(np.isfinite(values["verifier_ms"]), values["verifier_ms"], verifier_ms),
            ),
            part,
        )


def scores_of(table: ScoredOutcomes, verifier: Verifier | str) -> Floats:
    """Score a table's answers: shape (n, m), NaN where an answer lacks what the verifier reads.

    Parameters
    ----------
    table
        Its columns `answer` and `logprob` are read.
    verifier
        "logprob" for exp(`logprob`), "score" for the column itself; or a verifier that asks no
        model.

    Raises
    ------
    DataError
        If the table lacks the column.
    VerifierError
        If the verifier failed.
    """
    from routellm_core.answers import Answer, Prompt, Token

    if verifier == "score":
        return table.values["score"]
    logprobs = table.values["logprob"]
    if verifier == "logprob":
        if not np.isfinite(logprobs).any():
            raise DataError("The verifier 'logprob' needs a column `logprob`, and no row has one.")
        found: Floats = np.exp(logprobs)
        return found
    if isinstance(verifier, str):
        raise ConfigurationError(f"`verifier` must be a verifier, got {verifier!r}.")
    places = [
        (row, column)
        for row, texts in enumerate(table.answers)
        for column, text in enumerate(texts)
        if text is not None
    ]
    if not places:
        raise DataError(
            f"The verifier {verifier.name!r} needs a column `answer`, and no row has one."
        )
    scores = np.full(logprobs.shape, np.nan)
    for row, column in places:
        mean = logprobs[row, column]
        # One token of the mean log-probability stands for all: verifiers read the mean.
        tokens = () if np.isnan(mean) else (Token("", float(mean)),)
        answer = Answer(table.answers[row][column] or "", tokens=tokens)
        scores[row, column] = verifier.score(Prompt(table.outcomes.prompts[row]), answer).value
    return scores


def _costs(table: ScoredOutcomes, pricing: Pricing) -> Floats:
    """Return the US dollars of each answer, from the token counts where no cost is stated."""
    usd: Floats = table.outcomes.cost.copy()
    read, written = table.values["input_tokens"], table.values["output_tokens"]
    for column, model in enumerate(table.outcomes.models):
        unknown = np.isnan(usd[:, column])
        if not unknown.any():
            continue
        counted = np.isfinite(read[unknown, column]) & np.isfinite(written[unknown, column])
        price = pricing.price(model) if counted.all() else None
        if price is None:
            raise DataError(
                f"The cost of {int(unknown.sum()):,} answers of {model!r} is not known. Give the "
                "table a column `cost` in US dollars, or `input_tokens` and `output_tokens` for a "
                "model whose price LiteLLM's table knows."
            )
        usd[unknown, column] = (
            read[unknown, column] * price.input_usd + written[unknown, column] * price.output_usd
        )
    return usd
