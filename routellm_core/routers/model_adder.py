"""Routers that learn a new model from few outcomes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.data.outcomes import Outcomes, read_outcomes
from routellm_core.errors import ConfigurationError, DataError, did_you_mean
from routellm_core.routers._model_names import name_key
from routellm_core.routers.added import RECORD, AddedModel, Evidence, added_reports
from routellm_core.routers.embedding import EmbeddingRouter

if TYPE_CHECKING:
    from routellm_core.data.rows import RowSource
    from routellm_core.routers.base import Router

__all__ = ["ModelAdder", "model_adder"]


class ModelAdder(EmbeddingRouter):
    """A router of many models that learns a new one from few outcomes, and changes no other.

    A subclass implements `_add` and `known_model`, and has `models`.
    """

    @property
    @abstractmethod
    def models(self) -> tuple[str, ...]:
        """The models whose quality is predicted; added ones come last, in the order of adding."""

    @property
    def added_models(self) -> dict[str, AddedModel]:
        """The reports of the added models, by name.

        Raises
        ------
        CheckpointError
            If the training record of the checkpoint that was loaded holds something else there.
        """
        return added_reports(self.training)

    def add_model(
        self,
        name: str,
        outcomes: Outcomes | RowSource | None = None,
        *,
        like: str | None = None,
        prior: float | None = None,
    ) -> AddedModel:
        """Add a model without training anew, and return what was found out about it.

        What the router says of all other models, and of its pair, stays the same to the bit. The
        report is kept in `added_models` and saved with the router.

        Parameters
        ----------
        name
            How the new model is called from now on, in `qualities`, as an expert's name, and as
            `strong_model` or `weak_model` where the saved router is loaded.
        outcomes
            Its quality in [0, 1] on a few dozen prompts or more, as `read_outcomes` takes them:
            rows of `prompt`, `model` and `quality`. Rows of models that the router knows, on the
            same prompts, tell how much easier these prompts are than the router expects; rows of
            others are not used. None for a guess, which needs `like`.
        like
            A known model that the new one starts from. By default it starts from the distribution
            of all known models.
        prior
            Positive: how much that start counts. For `mf` a factor on the prior's precision, by
            default 1; for `cluster` and `knn` a number of prompts, by default 5.

        Raises
        ------
        ConfigurationError
            If the name is empty or known already, `prior` is not positive, there are neither
            outcomes nor `like`, or the router was fitted to battles.
        UnknownModelError
            If `like` is not known.
        DataError
            If the outcomes cannot be read, or none is the new model's.
        """
        name = name.strip()
        self._check_new(name)
        if prior is not None and not 0.0 < prior < np.inf:
            raise ConfigurationError(f"`prior` must be a positive number, got {prior!r}.")
        if outcomes is None and like is None:
            raise ConfigurationError(
                f"Nothing is known of {name!r}. Pass its `outcomes` on a few dozen prompts, or "
                "`like` with a known model for a guess."
            )
        start = None if like is None else self.known_model(like)
        report = self._add(name, self._evidence(name, outcomes, like=start, prior=prior))
        self.training = {
            **self.training,
            RECORD: {**self.training.get(RECORD, {}), name: report.values()},
        }
        self.checkpoint_id = None
        return report

    @abstractmethod
    def _add(self, name: str, evidence: Evidence) -> AddedModel:
        """Append a model whose name is new, and return its report."""

    @abstractmethod
    def known_model(self, name: str) -> str:
        """Return the model that a name stands for, or raise `UnknownModelError`."""

    def _check_new(self, name: str) -> None:
        if not name:
            raise ConfigurationError("The new model needs a name, got an empty one.")
        same = next((model for model in self.models if name_key(model) == name_key(name)), None)
        if same is not None:
            raise ConfigurationError(
                f"The router knows {same!r} already. Give the new model another name, or add it to "
                "the router as it was trained."
            )

    def _evidence(
        self,
        name: str,
        outcomes: Outcomes | RowSource | None,
        *,
        like: str | None,
        prior: float | None,
    ) -> Evidence:
        if outcomes is None:
            nothing = np.empty((0, len(self.models)))
            embeddings = np.empty((0, self.dimension), dtype=np.float32)
            return Evidence(embeddings, np.empty(0), nothing, like, prior)
        table = outcomes if isinstance(outcomes, Outcomes) else read_outcomes(outcomes)
        own = _column(name, table)
        rows = np.flatnonzero(np.isfinite(table.quality[:, own]))
        if not rows.size:
            raise DataError(f"The outcomes hold no quality of {name!r}.")
        known = np.full((len(rows), len(self.models)), np.nan)
        for column, model in enumerate(self.models):
            if model in table.models:
                known[:, column] = table.quality[rows, table.models.index(model)]
        prompts = [table.prompts[row] for row in rows]
        embeddings = np.concatenate(self._embedded(prompts))
        return Evidence(embeddings, table.quality[rows, own], known, like, prior)


def model_adder(router: Router) -> ModelAdder:
    """Return a router that takes new models.

    Raises
    ------
    ConfigurationError
        If it is another one.
    """
    if not isinstance(router, ModelAdder):
        raise ConfigurationError(
            f"Router {router.name!r} takes no new models without training anew: 'mf' (fitted to "
            "outcomes), 'cluster' and 'knn' do."
        )
    return router


def _column(name: str, table: Outcomes) -> int:
    if name not in table.models:
        known = list(table.models)
        raise DataError(
            f"The outcomes hold no row of model {name!r}.{did_you_mean(name, known)} They hold: "
            f"{', '.join(known)}."
        )
    return table.models.index(name)
