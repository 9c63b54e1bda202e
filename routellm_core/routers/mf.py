"""Matrix factorisation: prompts' demands times models' abilities."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._scales import on_percentiles
from routellm_core.checkpoints import Checkpoint
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.embedders.loading import embedder_for, load_embedder
from routellm_core.errors import (
    CheckpointError,
    ConfigurationError,
    UnknownModelError,
    did_you_mean,
)
from routellm_core.routers._added_ability import ability_names, fit_added
from routellm_core.routers._battle_model import (
    PUBLISHED_EMBEDDER,
    PUBLISHED_PAIR,
    BattleModel,
    is_published,
    read_published,
)
from routellm_core.routers._model_names import NEAREST, find_model, name_key, resolve_model
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.routers.added import AddedModel, nearest_models
from routellm_core.routers.base import check_prompts
from routellm_core.routers.model_adder import ModelAdder
from routellm_core.types import Calibration, ModelPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.hub import CheckpointFolder
    from routellm_core.routers.added import Evidence
    from routellm_core.types import WinRates

__all__ = ["MatrixFactorizationRouter"]

_BUNDLED = Path(__file__).parent / "bundled" / "mf"
_LEVELS = 201
_FORMS: dict[str, type[OutcomeModel] | type[BattleModel]] = {
    "abilities": OutcomeModel,
    "battles": BattleModel,
}


class MatrixFactorizationRouter(ModelAdder):
    """Compare two models' probabilities of being right on a prompt.

    A prompt's embedding is projected to a few demands, and each trained model's abilities turn them
    into its probability p of a right answer; the win rate is (1 + p_strong - p_weak) / 2. Where
    both models succeed or both fail it is near 1/2: difficulty alone does not call for the strong
    model. Every trained model has factors, so that any two of them can be the pair.

    Parameters
    ----------
    outcome_model
        The factors.
    embedder
        What they were fitted on; by default the bundled embedder.
    strong_model, weak_model
        Names of trained models, or common names that stand for the nearest trained one: see
        `docs/routers.md`. By default those of `pair`.
    pair
        The pair that the checkpoint recommends.
    model_names
        Names of your own, each with the trained model that it stands for. They go first.
    calibration_demands
        Shape (c, k): demands of representative prompts, from which every pair's calibration
        follows. None when there are none.
    calibration_source
        What these prompts were, in words.
    calibration
        Win rates that were stored for `pair`; of another pair, the demands' are taken.
    training
        Provenance and measured figures, as the checkpoint states them.

    Raises
    ------
    UnknownModelError
        If a model is neither trained nor known by another name.
    ConfigurationError
        If both names stand for the same trained model.

    References
    ----------
    Ong et al., RouteLLM, arXiv:2406.18665, section 4.2, for matrix factorisation of battles;
    Reckase, Multidimensional Item Response Theory, 2009, for the link from demands and abilities to
    outcomes. The bundled factors are fitted to outcomes instead of battles; those of RouteLLM's
    published checkpoints, which load as they are, to battles.

    Examples
    --------
    >>> router = MatrixFactorizationRouter.default()
    >>> easy, hard = router.win_rates(["Hi there!", "Derive the Navier-Stokes equations."])
    >>> bool(easy < hard)
    True
    """

    name: ClassVar[str] = "mf"
    inline: ClassVar[bool] = True

    def __init__(
        self,
        outcome_model: OutcomeModel | BattleModel,
        *,
        pair: ModelPair,
        embedder: Embedder | None = None,
        strong_model: str | None = None,
        weak_model: str | None = None,
        model_names: Mapping[str, str] | None = None,
        calibration_demands: NDArray[np.float32] | None = None,
        calibration_source: str = "",
        calibration: Calibration | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            BundledEmbedder() if embedder is None else embedder, dimension=outcome_model.dimension
        )
        self.outcome_model = outcome_model
        self.training = dict(training or {})
        self._names = dict(model_names or {})
        self._pair = _choose(pair, outcome_model.models, strong_model, weak_model, self._names)
        models = outcome_model.models
        factors: Any = outcome_model.pair_factors(
            models.index(self._pair.strong), models.index(self._pair.weak)
        )
        self._win_rates_of = partial(outcome_model.pair_win_rates, factors=factors)
        self._calibration_demands = calibration_demands
        self._calibration_source = calibration_source
        self._calibration = calibration if self._pair == pair else None
        self._calibration = self._calibration or self._calibrate()

    @property
    def pair(self) -> ModelPair:
        """The trained models that are compared."""
        return self._pair

    @property
    def models(self) -> tuple[str, ...]:
        """Every trained and added model, in the order of the columns of `quality`."""
        return self.outcome_model.models

    def quality(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return each trained model's probability of being right: shape (n, m), in [0, 1]."""
        if not len(prompts):
            return np.empty((0, len(self.models)))
        model = self.outcome_model
        parts = self._embedded(check_prompts(prompts))
        return np.concatenate([model.quality(model.demands(part)) for part in parts])

    def qualities(self, prompts: Sequence[str], models: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability that these models are right: shape (n, m), in [0, 1].

        Parameters
        ----------
        prompts
            n prompts.
        models
            Trained models, or common names that stand for the nearest trained one.

        Raises
        ------
        UnknownModelError
            If a model is neither trained nor known by another name.
        """
        trained = [resolve_model(model, self.models, names=self._names) for model in models]
        return self.quality(prompts)[:, [self.models.index(model) for model in trained]]

    def demands(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Return what n >= 1 prompts ask of a model: shape (n, k)."""
        parts = self._embedded(check_prompts(prompts))
        return np.concatenate([self.outcome_model.demands(part) for part in parts])

    def known_model(self, name: str) -> str:
        """Return the trained or added model that a name stands for.

        Raises
        ------
        UnknownModelError
            If there is none.
        """
        found = find_model(name, self.models, names=self._names)
        if found is None:
            near = did_you_mean(name, [*self.models, *NEAREST])
            raise UnknownModelError(
                f"Unknown model {name!r}.{near} Name one of the router's models, or a common name "
                "that stands for one."
            )
        return found

    def graded_model(self) -> OutcomeModel:
        """Return the factors, if they were fitted to outcomes.

        Raises
        ------
        ConfigurationError
            If they were fitted to battles, which compare models and do not grade them.
        """
        if isinstance(self.outcome_model, OutcomeModel):
            return self.outcome_model
        raise ConfigurationError(
            "These `mf` weights were fitted to battles, which compare models and do not grade them:"
            " a new model's outcomes do not fit in. Fit them to outcomes instead."
        )

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router with the bundled weights."""
        return cls.load(_BUNDLED, **options)

    def _score(self, embeddings: NDArray[Any]) -> WinRates:
        return self._win_rates_of(embeddings)

    def _add(self, name: str, evidence: Evidence) -> AddedModel:
        model = self.graded_model()
        fitted, shift = fit_added(model, evidence)
        grown = model.with_model(
            name, ability=fitted.parameters[1:], ease=float(fitted.parameters[0])
        )
        demands = self._calibration_demands
        if demands is None or not len(demands):
            # One prompt of no special demands, where there is none at all.
            demands = model.demands(evidence.embeddings)
            demands = demands if len(demands) else np.zeros_like(model.abilities[:1])
        quality = grown.quality(demands)
        report = AddedModel(
            name=name,
            n_prompts=len(evidence),
            parameters=ability_names(model),
            ability=tuple(fitted.parameters.tolist()),
            standard_error=tuple(fitted.standard_errors.tolist()),
            prompt_shift=shift,
            nearest=nearest_models(quality[:, -1], quality[:, :-1], model.models),
            like=evidence.like,
        )
        self.outcome_model = grown
        return report

    def _check_new(self, name: str) -> None:
        self.graded_model()
        super()._check_new(name)
        for own, trained in self._names.items():
            if name_key(own) == name_key(name):
                raise ConfigurationError(
                    f"`model_names` says that {own!r} stands for {trained!r}. Leave it out there, "
                    "or give the new model another name."
                )

    def _calibrate(self) -> Calibration | None:
        demands = self._calibration_demands
        if demands is None or len(demands) == 0:
            return None
        strong, weak = (self.models.index(m) for m in (self._pair.strong, self._pair.weak))
        win_rates = self.outcome_model.win_rates_of(demands, strong=strong, weak=weak)
        quantiles = np.quantile(win_rates, np.linspace(0.0, 1.0, _LEVELS))
        return on_percentiles(
            Calibration(
                np.maximum.accumulate(quantiles),
                n_prompts=len(demands),
                source=self._calibration_source,
            )
        )

    def _to_checkpoint(self) -> Checkpoint:
        tensors: dict[str, NDArray[Any]] = dict(self.outcome_model.tensors())
        if self._calibration_demands is not None:
            tensors["calibration_demands"] = self._calibration_demands
        return Checkpoint(
            router=self.name,
            parameters={
                **self.outcome_model.parameters(),
                "calibration_source": self._calibration_source,
            },
            tensors=tensors,
            pair=self._pair,
            embedder=getattr(self.embedder, "identity", None),
            calibration=None if self._calibration_demands is not None else self._calibration,
            training=self.training,
        )

    @classmethod
    def _from_folder(
        cls, folder: CheckpointFolder, *, embedder: Embedder | None = None, **options: Any
    ) -> Self:
        """Read this project's format, or RouteLLM's published one."""
        if not is_published(folder):
            return super()._from_folder(folder, embedder=embedder, **options)
        return cls(
            read_published(folder),
            pair=PUBLISHED_PAIR,
            embedder=load_embedder(PUBLISHED_EMBEDDER) if embedder is None else embedder,
            training={"format": "RouteLLM 0.2.0", "source": folder.path.name},
            **options,
        )

    @classmethod
    def _from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        embedder: Embedder | None = None,
        strong_model: str | None = None,
        weak_model: str | None = None,
        model_names: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Self:
        if options:
            raise ConfigurationError(
                f"Router {cls.name!r} takes no option {sorted(options)[0]!r}. It takes: embedder, "
                "model_names, strong_model, weak_model."
            )
        models, form = _model_list(checkpoint)
        if checkpoint.pair is None or not {checkpoint.pair.strong, checkpoint.pair.weak} <= {
            *models
        }:
            raise CheckpointError("The checkpoint's pair must be two of its models.")
        embedder = embedder_for(checkpoint, embedder)
        outcome_model = form.from_checkpoint(checkpoint, models)
        demands = None
        if "calibration_demands" in checkpoint.tensors:
            k = outcome_model.projection.shape[1]
            demands = checkpoint.tensor("calibration_demands", shape=(None, k)).astype(np.float32)
        return cls(
            outcome_model,
            pair=checkpoint.pair,
            embedder=embedder,
            strong_model=strong_model,
            weak_model=weak_model,
            model_names=model_names,
            calibration_demands=demands,
            calibration_source=str(checkpoint.parameters.get("calibration_source", "")),
            calibration=checkpoint.calibration,
            training=checkpoint.training,
        )


def _model_list(
    checkpoint: Checkpoint,
) -> tuple[tuple[str, ...], type[OutcomeModel] | type[BattleModel]]:
    form = _FORMS.get(str(checkpoint.parameters.get("form")))
    if form is None:
        raise CheckpointError(
            f"Parameter `form` must be one of {sorted(_FORMS)}, got "
            f"{checkpoint.parameters.get('form')!r}."
        )
    models = checkpoint.parameters.get("models")
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise CheckpointError("Parameter `models` must be a list of names.")
    return tuple(models), form


def _choose(
    pair: ModelPair,
    models: tuple[str, ...],
    strong: str | None,
    weak: str | None,
    names: dict[str, str],
) -> ModelPair:
    chosen_strong = pair.strong if strong is None else resolve_model(strong, models, names=names)
    chosen_weak = pair.weak if weak is None else resolve_model(weak, models, names=names)
    if chosen_strong == chosen_weak:
        raise ConfigurationError(
            f"Strong model {strong or pair.strong!r} and weak model {weak or pair.weak!r} both "
            f"stand for the trained model {chosen_strong!r}. Choose two others, or say with "
            "`model_names` which trained models they are like."
        )
    return ModelPair(chosen_strong, chosen_weak)
