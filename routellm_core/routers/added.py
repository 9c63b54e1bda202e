"""What is reported and kept of models that are added to a trained router."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.checkpoints import Checkpoint

__all__ = ["RECORD", "AddedModel", "Evidence", "added_count", "added_reports", "nearest_models"]

RECORD = "added_models"
"""Where a checkpoint's training record keeps the reports."""

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class AddedModel:
    """The report of a model that was added to a trained router.

    Parameters
    ----------
    name
        The new model.
    n_prompts
        How many outcomes it was fitted on; 0 for a guess.
    parameters
        Names of the fitted numbers. For `mf`: "ease", the log-odds of a right answer on a prompt of
        no special demands, and "ability 1" and so on, one for each demand. For `cluster` and `knn`:
        "shift", the quality above what the known models would have had on the same prompts.
    ability
        Those numbers.
    standard_error
        Of each: the posterior's standard deviation. 0 for a number that is the same in every known
        model, and is taken over.
    prompt_shift
        How much easier the prompts were, by the outcomes of known models on them, than the router
        expects: log-odds for `mf`, quality for the others. 0 without such outcomes.
    nearest
        Known models whose predicted qualities are most like the new one's, the nearest first.
    like
        The known model that it starts from; None for the known models' distribution.
    """

    name: str
    n_prompts: int
    parameters: tuple[str, ...]
    ability: tuple[float, ...]
    standard_error: tuple[float, ...]
    prompt_shift: float
    nearest: tuple[str, ...]
    like: str | None

    @property
    def is_guess(self) -> bool:
        """Whether nothing was measured: the ability is another model's."""
        return self.n_prompts == 0

    def values(self) -> dict[str, Any]:
        """Return the report as JSON values, with "basis": "outcomes" or "guess"."""
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {**values, "basis": "guess" if self.is_guess else "outcomes"}

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> AddedModel:
        """Return the report that `values` wrote.

        Raises
        ------
        CheckpointError
            If it is none.
        """
        try:
            return cls(
                name=str(values["name"]),
                n_prompts=int(values["n_prompts"]),
                parameters=tuple(map(str, values["parameters"])),
                ability=tuple(map(float, values["ability"])),
                standard_error=tuple(map(float, values["standard_error"])),
                prompt_shift=float(values["prompt_shift"]),
                nearest=tuple(map(str, values["nearest"])),
                like=None if values["like"] is None else str(values["like"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"The training record's {RECORD!r} has a damaged report: {error!r}."
            ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of a new model.

    Parameters
    ----------
    embeddings
        Shape (n, d), n >= 0.
    quality
        Shape (n,), in [0, 1]: the new model's.
    known
        Shape (n, m), in [0, 1], NaN where there is none: the known models' quality on the same
        prompts, in the order of the router's models.
    like
        The known model that it starts from; None for all of them.
    prior
        How much the prior counts; None for the router's default.
    """

    embeddings: NDArray[Any]
    quality: NDArray[np.float64]
    known: NDArray[np.float64]
    like: str | None
    prior: float | None

    def __len__(self) -> int:
        return len(self.quality)


def added_reports(training: Mapping[str, Any]) -> dict[str, AddedModel]:
    """Return the reports that a training record keeps, by name.

    Raises
    ------
    CheckpointError
        If it holds something else there.
    """
    kept = training.get(RECORD, {})
    if not isinstance(kept, dict) or not all(isinstance(one, dict) for one in kept.values()):
        raise CheckpointError(f"The training record's {RECORD!r} must hold reports by name.")
    return {name: AddedModel.of_values(values) for name, values in kept.items()}


def nearest_models(
    new: NDArray[np.float64], known: NDArray[np.float64], models: Sequence[str]
) -> tuple[str, ...]:
    """Return the three models of the least root mean square difference from a new one.

    Parameters
    ----------
    new
        Shape (n,): predicted qualities.
    known
        Shape (n, m): those of the models.
    """
    distances = ((known - new[:, None]) ** 2).mean(axis=0)
    return tuple(models[row] for row in np.argsort(distances, kind="stable")[:_NEAREST])


def added_count(checkpoint: Checkpoint, *, n_models: int) -> int:
    """Return how many of a checkpoint's models were added after training.

    Raises
    ------
    CheckpointError
        If that is no number that leaves two models.
    """
    n_added = checkpoint.parameters.get("n_added", 0)
    if type(n_added) is not int or not 0 <= n_added <= max(0, n_models - 2):
        raise CheckpointError(
            f"Parameter `n_added` must leave two of {n_models} models, got {n_added!r}."
        )
    return n_added
