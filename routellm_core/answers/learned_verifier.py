"""`learned`: a verifier that was trained on graded answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.answers.answer_features import FEATURE_NAMES, answer_features, joined_inputs
from routellm_core.answers.content import as_answer, as_prompt
from routellm_core.answers.steps import Invocation
from routellm_core.answers.verifier import Score, Verifier
from routellm_core.calibration.logistic import LogisticMap
from routellm_core.calibration.probability import ProbabilityMap
from routellm_core.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.embedders.base import check_embeddings, identity_of
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.embedders.loading import embedder_for
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.hub import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Plan
    from routellm_core.embedders.base import Embedder

__all__ = ["LearnedVerifier", "learned"]

_KIND = "verifier-learned"


class LearnedVerifier(Verifier):
    """The probability that an answer is good, learned from graded answers.

    It reads the embeddings of prompt and answer, their cosine, how the answer looks (length,
    refusal, hedging, truncation, repetition), the prompt's win rate and the answer's
    log-probabilities where these are known. It asks no model.

    Parameters
    ----------
    model
        A logistic function of the f features, the cosine and both embeddings.
    embedder
        The one that the model was fitted on.
    curve
        A map from the model's probabilities to observed ones; None for none.
    is_calibrated
        Whether a score is a probability, as held-out rows have shown.
    wants_logprobs
        Whether the training rows had log-probabilities, so that answers should come with them.
    training
        Data, settings and figures on held-out rows, JSON values only.

    Raises
    ------
    ConfigurationError
        If the model has another number of inputs than features and embeddings make.
    """

    name = "learned"

    def __init__(
        self,
        *,
        model: LogisticMap,
        embedder: Embedder,
        curve: ProbabilityMap | None = None,
        is_calibrated: bool = False,
        wants_logprobs: bool = False,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        width = len(model.weights) - len(FEATURE_NAMES) - 1
        if width < 2 or width % 2:
            raise ConfigurationError(
                f"A learned verifier reads {len(FEATURE_NAMES)} features, a cosine and two "
                f"embeddings, got {len(model.weights)} weights."
            )
        self.model, self.embedder, self.curve = model, embedder, curve
        self.is_calibrated = is_calibrated
        self.top_logprobs = 0 if wants_logprobs else None
        self.training = dict(training or {})
        self._dimension = width // 2
        # The bundled embedder takes less time than the way to a thread and back.
        self._apart = not isinstance(embedder, BundledEmbedder)

    def scores(
        self, prompts: Sequence[Prompt | str], answers: Sequence[Answer | str]
    ) -> NDArray[np.float64]:
        """Score n answers at once: shape (n,), in [0, 1].

        Raises
        ------
        ConfigurationError
            If there are not as many answers as prompts.
        RouterError
            If the embedder does not return one finite vector for each text.
        """
        if len(prompts) != len(answers):
            raise ConfigurationError(
                f"`prompts` and `answers` must be of one length, got {len(prompts)} and "
                f"{len(answers)}."
            )
        asked, said = [as_prompt(each) for each in prompts], [as_answer(each) for each in answers]
        return self._curved(self._raw(asked, said))

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        if self._apart:
            (raw,) = yield [Invocation(self._raw, ([prompt], [answer]))]
        else:
            raw = self._raw([prompt], [answer])
        return Score(float(self._curved(raw)[0]), "learned from graded answers", float(raw[0]))

    def _raw(self, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> NDArray[np.float64]:
        if not prompts:
            return np.empty(0)
        texts = [prompt.text for prompt in prompts] + [answer.text for answer in answers]
        unique = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(unique)}
        found = check_embeddings(
            self.embedder.embed(unique), n=len(unique), dimension=self._dimension
        )
        vectors = found[[rows[text] for text in texts]]
        features = answer_features(prompts, answers)
        return self.model(joined_inputs(features, vectors[: len(prompts)], vectors[len(prompts) :]))

    def _curved(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return raw if self.curve is None else self.curve(raw)

    def save(self, folder: str | Path) -> Path:
        """Write a checkpoint folder and return it.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        """
        tensors = {
            "mean": self.model.mean,
            "scale": self.model.scale,
            "weights": self.model.weights,
        }
        if self.curve is not None:
            tensors["curve"] = self.curve.knots
        parameters = {
            "bias": self.model.bias,
            "features": list(FEATURE_NAMES),
            "is_calibrated": self.is_calibrated,
            "wants_logprobs": self.top_logprobs is not None,
        }
        checkpoint = Checkpoint(
            _KIND, parameters, tensors, embedder=identity_of(self.embedder), training=self.training
        )
        return write_checkpoint(checkpoint, folder)

    @classmethod
    def load(cls, source: str | Path, *, embedder: Embedder | None = None) -> LearnedVerifier:
        """Read a verifier from a folder, or from "owner/name" on the Hugging Face Hub.

        Parameters
        ----------
        embedder
            By default the one that the checkpoint records, which is loaded.

        Raises
        ------
        CheckpointError
            If there is none, it is damaged or of another release, or the embedder is another one.
        """
        folder = find_checkpoint(source)
        read = read_checkpoint(folder.path, within=folder.within)
        if read.router != _KIND:
            raise CheckpointError(
                f"{str(source)!r} holds a {read.router!r}, not a learned verifier."
            )
        if read.parameters.get("features") != list(FEATURE_NAMES):
            raise CheckpointError(
                f"{str(source)!r} was trained on other features than this release computes. Train "
                "it again with `routellm train verifier`."
            )
        bias = read.parameters.get("bias")
        if isinstance(bias, bool) or not isinstance(bias, (int, float)):
            raise CheckpointError(f"Parameter `bias` must be a number, got {bias!r}.")
        weights = read.tensor("weights", shape=(None,))
        mean, scale = (read.tensor(part, shape=weights.shape) for part in ("mean", "scale"))
        curve = read.tensor("curve", shape=(None, 2)) if "curve" in read.tensors else None
        try:
            return cls(
                model=LogisticMap(mean, scale, weights, float(bias)),
                embedder=embedder_for(read, embedder),
                curve=None if curve is None else ProbabilityMap(curve),
                is_calibrated=read.parameters.get("is_calibrated") is True,
                wants_logprobs=read.parameters.get("wants_logprobs") is True,
                training=read.training,
            )
        except ConfigurationError as error:
            raise CheckpointError(f"{str(source)!r} is not a usable verifier: {error}") from error


def learned(checkpoint: str | Path, *, embedder: Embedder | None = None) -> Verifier:
    """Return a verifier that `routellm train verifier` has trained.

    Parameters
    ----------
    checkpoint
        Its folder, or "owner/name" on the Hugging Face Hub.
    embedder
        By default the one that the checkpoint records.

    Raises
    ------
    CheckpointError
        As `LearnedVerifier.load`.
    """
    return LearnedVerifier.load(checkpoint, embedder=embedder)
