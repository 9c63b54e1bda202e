"""`logprob`: how sure a model was of its own words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.answers.verifier import Score, Verifier, Watch, check_level
from routellm_core.errors import ConfigurationError, VerifierError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.answers.content import Answer, Prompt, Token

__all__ = ["LogprobStatistic", "logprob"]

LogprobStatistic = Literal["mean", "min", "lowest_tenth", "quantile", "margin"]


def logprob(
    statistic: LogprobStatistic = "mean",
    *,
    quantile: float = 0.1,
    early_after: int = 20,
    early_slack: float = 0.1,
) -> Verifier:
    """Score an answer by the log-probabilities of its tokens.

    Parameters
    ----------
    statistic
        - "mean": exp(mean log-probability): the tokens' geometric mean probability. Its negative
          logarithm is the answer's NLL per token under its own model.
        - "min": the probability of the least probable token.
        - "lowest_tenth": exp(mean log-probability) of the least probable tenth, at least one token.
        - "quantile": the tokens' probability at `quantile`.
        - "margin": how much more probable the first of two alternatives is than the second, in the
          mean over tokens; needs `top_logprobs` of 2 or more.
    quantile
        In [0, 1].
    early_after, early_slack
        A stream is rejected when after this many tokens the mean so far lies this far below the
        level of acceptance; "min" rejects a stream at the first token below the level, and the
        others reject none.

    Returns
    -------
    A verifier whose score is in [0, 1] and whose `raw` is the logarithm of it. The score depends on
    the model and on its temperature: calibrate it for each model.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.

    Examples
    --------
    >>> from routellm_core.answers import Answer, Token
    >>> answer = Answer("4.", tokens=(Token("4", 0.0), Token(".", -0.2)))
    >>> round(logprob().score("2 + 2?", answer).value, 3)
    0.905
    """
    known = list(get_args(LogprobStatistic))
    if statistic not in known:
        raise ConfigurationError(
            f"Unknown statistic {statistic!r}.{did_you_mean(str(statistic), known)} "
            f"Statistics: {', '.join(known)}."
        )
    check_fraction(quantile, name="quantile", within="[0, 1]")
    if early_after < 1 or not early_slack >= 0.0:
        raise ConfigurationError(
            "`early_after` must be at least 1 and `early_slack` at least 0, got "
            f"{early_after!r} and {early_slack!r}."
        )
    return _LogprobVerifier(statistic, quantile, early_after, early_slack)


class _LogprobVerifier(Verifier):
    def __init__(
        self, statistic: LogprobStatistic, quantile: float, early_after: int, early_slack: float
    ) -> None:
        self.name = "logprob"
        self.top_logprobs = 2 if statistic == "margin" else 0
        self._statistic, self._quantile = statistic, quantile
        self._after, self._slack = early_after, early_slack

    def _score(self, prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG002
        if not answer.tokens:
            raise VerifierError(
                "The answer came without log-probabilities. Ask for them (`logprobs=True` in "
                "OpenAI's interface), or use another verifier: not every provider sends them."
            )
        if self._statistic == "margin":
            value = _margin(answer.tokens)
            return Score(value, f"{self._statistic} of {len(answer.tokens)} tokens")
        raw = self._summary()(np.array(answer.logprobs))
        return Score(math.exp(raw), f"{self._statistic} of {len(answer.tokens)} tokens", raw)

    def _summary(self) -> Callable[[np.ndarray], float]:
        return {
            "mean": lambda values: float(values.mean()),
            "min": lambda values: float(values.min()),
            "lowest_tenth": _lowest_tenth,
            "quantile": lambda values: float(np.quantile(values, self._quantile)),
        }[self._statistic]

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:  # noqa: ARG002
        if check_level(accept) <= 0.0:
            return None
        if self._statistic == "min":
            return _LeastWatch(accept)
        if self._statistic == "mean" and accept > self._slack:
            return _MeanWatch(accept - self._slack, self._after)
        return None


class _MeanWatch(Watch):
    def __init__(self, level: float, after: int) -> None:
        self._level, self._after = level, after
        self._n, self._sum = 0, 0.0
        self._score: Score | None = None

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:  # noqa: ARG002
        for token in tokens:
            if self._score is not None:
                break
            self._n += 1
            self._sum += token.logprob
            mean = self._sum / self._n
            if self._n >= self._after and math.exp(mean) < self._level:
                self._score = Score(math.exp(mean), f"mean of {self._n} tokens so far", mean)
        return self._score


class _LeastWatch(Watch):
    def __init__(self, level: float) -> None:
        self._level, self._n = level, 0
        self._score: Score | None = None

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:  # noqa: ARG002
        for token in tokens:
            self._n += 1
            if self._score is None and math.exp(token.logprob) < self._level:
                reason = f"token {self._n} is improbable"
                self._score = Score(math.exp(token.logprob), reason, token.logprob)
        return self._score


def _lowest_tenth(values: np.ndarray) -> float:
    n = max(1, math.ceil(len(values) / 10))
    return float(np.sort(values)[:n].mean())


def _margin(tokens: Sequence[Token]) -> float:
    margins = []
    for token in tokens:
        best = sorted((logprob for _, logprob in token.top), reverse=True)[:2]
        if len(best) < 2:
            raise VerifierError(
                "A token came with fewer than two alternatives. Ask for `top_logprobs` of 2 or "
                "more, or use another statistic."
            )
        margins.append(math.exp(best[0]) - math.exp(best[1]))
    return min(1.0, max(0.0, sum(margins) / len(margins)))
