"""`calibrated`: a verifier whose score is the probability that the answer is good enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.answers.content import as_prompt
from routellm_core.answers.verifier import Score, Verifier, Watch, check_level
from routellm_core.calibration.logistic import LogisticMap
from routellm_core.calibration.probability import ProbabilityMap
from routellm_core.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.hub import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.answers.content import Answer, Prompt, Token
    from routellm_core.answers.steps import Plan

__all__ = ["ScoreCalibration", "calibrated"]

_KIND = "verifier-calibration"
_HALVINGS = 40
_UNREACHABLE = 2.0
"""A level that no score reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCalibration:
    """From a verifier's score, and the prompt's win rate, to a probability.

    `calibrate_verifier` of `routellm_core.training` makes one of rows of your own.

    Parameters
    ----------
    verifier
        Name of the verifier whose scores these are.
    by_score
        The map of the score alone, for prompts without a win rate.
    by_both
        A logistic function of (score, win rate), rising with the score; None where win rates were
        not known.
    curve
        A map that follows `by_both`; None for none.
    training
        Rows, method and figures on held-out rows, JSON values only.

    Raises
    ------
    ConfigurationError
        If `by_both` has not two inputs, or does not rise with the score.
    """

    verifier: str
    by_score: ProbabilityMap
    by_both: LogisticMap | None = None
    curve: ProbabilityMap | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.by_both is not None and not (
            self.by_both.weights.shape == (2,) and self.by_both.weights[0] > 0.0
        ):
            raise ConfigurationError(
                "A calibration needs weights of (score, win rate), the first above 0, got "
                f"{self.by_both.weights.tolist()}."
            )

    def __call__(
        self, scores: NDArray[np.float64], win_rates: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return probabilities of n answers.

        Parameters
        ----------
        scores
            Shape (n,), in [0, 1].
        win_rates
            Shape (n,), in [0, 1]; NaN or None for what is not known.
        """
        alone = self.by_score(scores)
        if self.by_both is None or win_rates is None:
            return alone
        both = self.by_both(np.column_stack([scores, win_rates]))
        if self.curve is not None:
            both = self.curve(both)
        return np.where(np.isnan(win_rates), alone, both)

    def of(self, score: float, win_rate: float | None) -> float:
        """Return the probability of one answer."""
        known = np.nan if win_rate is None else win_rate
        return float(self(np.array([score]), np.array([known]))[0])

    def score_below(self, level: float, win_rate: float | None) -> float:
        """Return a score such that all below it have a probability below the level.

        Returns
        -------
        0 where every score reaches the level, and 2 where none does.
        """
        if self.of(0.0, win_rate) >= level:
            return 0.0
        if self.of(1.0, win_rate) < level:
            return _UNREACHABLE
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            if self.of(middle, win_rate) < level:
                low = middle
            else:
                high = middle
        return low

    def save(self, folder: str | Path) -> Path:
        """Write a checkpoint folder and return it.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        """
        tensors = {"by_score": self.by_score.knots}
        parameters: dict[str, Any] = {"verifier": self.verifier}
        if self.by_both is not None:
            tensors |= {
                "mean": self.by_both.mean,
                "scale": self.by_both.scale,
                "weights": self.by_both.weights,
            }
            parameters["bias"] = self.by_both.bias
        if self.curve is not None:
            tensors["curve"] = self.curve.knots
        return write_checkpoint(
            Checkpoint(_KIND, parameters=parameters, tensors=tensors, training=self.training),
            folder,
        )

    @classmethod
    def load(cls, source: str | Path) -> ScoreCalibration:
        """Read a calibration from a folder, or from "owner/name" on the Hugging Face Hub.

        Raises
        ------
        CheckpointError
            If there is none, or it is damaged.
        """
        folder = find_checkpoint(source)
        read = read_checkpoint(folder.path, within=folder.within)
        name = read.parameters.get("verifier")
        if read.router != _KIND or not isinstance(name, str):
            raise CheckpointError(
                f"{str(source)!r} holds a {read.router!r}, not the calibration of a verifier."
            )
        both = None
        if "weights" in read.tensors:
            mean, scale, weights = (
                read.tensor(part, shape=(2,)) for part in ("mean", "scale", "weights")
            )
            bias = read.parameters.get("bias")
            if not isinstance(bias, (int, float)):
                raise CheckpointError(f"Parameter `bias` must be a number, got {bias!r}.")
            both = LogisticMap(mean, scale, weights, float(bias))
        curve = read.tensor("curve", shape=(None, 2)) if "curve" in read.tensors else None
        return cls(
            name,
            ProbabilityMap(read.tensor("by_score", shape=(None, 2))),
            both,
            None if curve is None else ProbabilityMap(curve),
            read.training,
        )


def calibrated(verifier: Verifier, calibration: ScoreCalibration | str | Path) -> Verifier:
    """Return a verifier whose scores are probabilities, by a calibration of its scores.

    Its scores may be compared with those of other calibrated verifiers. Streams are watched as by
    the verifier itself, at the score that corresponds to the level of acceptance.

    Parameters
    ----------
    verifier
        The one that was calibrated, made in the same way.
    calibration
        The calibration, or where it was saved.

    Returns
    -------
    A verifier of the same name, whose `raw` is the score before.

    Raises
    ------
    ConfigurationError
        If the calibration is that of another verifier.
    CheckpointError
        If it cannot be read.
    """
    if not isinstance(calibration, ScoreCalibration):
        calibration = ScoreCalibration.load(calibration)
    if calibration.verifier != verifier.name:
        raise ConfigurationError(
            f"The calibration is that of verifier {calibration.verifier!r}, got {verifier.name!r}."
            " Scores of two verifiers do not mean the same: calibrate this one on its own scores."
        )
    return _Calibrated(verifier, calibration)


class _Calibrated(Verifier):
    is_calibrated = True

    def __init__(self, verifier: Verifier, calibration: ScoreCalibration) -> None:
        self.verifier, self.calibration = verifier, calibration
        self.name, self.top_logprobs = verifier.name, verifier.top_logprobs

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        score = yield from self.verifier.plan(prompt, answer)
        return self._mapped(score, prompt)

    def _mapped(self, score: Score, prompt: Prompt) -> Score:
        return Score(self.calibration.of(score.value, prompt.win_rate), score.reason, score.value)

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        if check_level(accept) <= 0.0:
            return None
        prompt = as_prompt(prompt)
        level = self.calibration.score_below(accept, prompt.win_rate)
        watch = self.verifier.watch(prompt, accept=level) if level > 0.0 else None
        return None if watch is None else _CalibratedWatch(watch, self, prompt)


class _CalibratedWatch(Watch):
    def __init__(self, watch: Watch, owner: _Calibrated, prompt: Prompt) -> None:
        self._watch, self._owner, self._prompt = watch, owner, prompt

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:
        score = self._watch.feed(text, tokens)
        return None if score is None else self._owner._mapped(score, self._prompt)
