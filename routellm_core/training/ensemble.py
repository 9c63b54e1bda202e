"""Training `ensemble`: members on the same data, and the weights of their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from routellm_core.errors import ConfigurationError, DataError, did_you_mean
from routellm_core.evaluation.metrics import apgr, brier
from routellm_core.routers.ensemble import EnsembleRouter
from routellm_core.training.examples import check_models, check_signal, pair_examples
from routellm_core.training.folds import centred
from routellm_core.training.members import MEMBER_TRAINERS
from routellm_core.training.progress import steps
from routellm_core.training.remembered import RememberedEmbedder
from routellm_core.training.stacking import stacked_weights
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.routers.base import Router
    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["Method", "train_ensemble"]

Method: TypeAlias = Literal["stacked", "mean"]
"""How the members' weights come about."""

_MEMBERS = ("knn", "cluster", "mlp")
_MIN_EACH = 2


def train_ensemble(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder | None = None,
    members: Sequence[str] | Mapping[str, str] = _MEMBERS,
    method: Method = "stacked",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    folds: int = 5,
    base: str | Path | None = None,
    work: str | Path | None = None,
    validation_share: float | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Train the members, and weigh them by what they say of prompts that they did not see.

    For every fold the members are trained on the other folds and score this one. The weights and
    all figures come from these win rates; the figures of a fold are those of weights fitted
    without it. The members that are kept are trained on all of the data. That makes `folds` + 1
    trainings of every member.

    Parameters
    ----------
    data
        What every member can learn from: outcomes or battles.
    embedder
        For members over embeddings.
    members
        Names of trainers, or, for several of one kind, trainers by the members' names:
        `{"narrow": "mlp", "wide": "mlp"}`.
    method
        "stacked": the weights, at least 0, of the lowest Brier score; "mean": equal ones.
    settings
        More arguments of a member's trainer, by the member's name: `{"wide": {"hidden": [256]}}`.
    folds
        How many parts the prompts are dealt into, at least 2.
    base, work
        For `bert` and `causal_llm`: see `train_bert`. Each fit has a folder of its own in `work`.
    validation_share
        How many of its prompts each training holds back; by default as each trainer does.
    seed
        Of the folds and of every fit.

    Raises
    ------
    ConfigurationError
        If a member or the method is not known, an argument cannot be used, or one is missing.
    DataError
        If there are too few prompts that both models answered.
    UnknownModelError
        If the data does not know a model of the pair.
    """
    plan = _Plan(members, settings or {}, base=base, work=work, validation_share=validation_share)
    if method not in ("stacked", "mean"):
        raise ConfigurationError(f"`method` must be 'stacked' or 'mean', got {method!r}.")
    check_models(data, pair)
    examples = pair_examples(data, pair)
    check_signal(examples, pair)
    fold_of = _dealt(data.prompts, examples.prompts, folds=folds, seed=seed)
    plan.check(embedder)
    remembered = None
    if embedder is not None and plan.needs_embedder:
        remembered = RememberedEmbedder(embedder, data.prompts, show_progress=show_progress)
    row_folds = np.array([fold_of[prompt] for prompt in data.prompts])
    held_folds = np.array([fold_of[prompt] for prompt in examples.prompts])
    win_rates = np.empty((len(plan.names), len(examples.prompts)))
    for fold in steps(range(folds), "folds", show=show_progress):
        train = data.select(row_folds != fold)
        rows = np.flatnonzero(held_folds == fold)
        prompts = [examples.prompts[row] for row in rows]
        for place, name in enumerate(plan.names):
            router = plan.train(name, train, pair, remembered, seed=seed, part=str(fold))
            win_rates[place, rows] = router.raw_win_rates(prompts)
    kept = {
        name: plan.train(name, data, pair, embedder, seed=seed, part="all") for name in plan.names
    }
    weights = _weights(win_rates, examples, method)
    router = EnsembleRouter(kept, weights=weights)
    unseen = _held_out(win_rates, examples, held_folds, method)
    return trained(
        router,
        examples,
        settings={
            "members": dict(plan.members),
            "method": method,
            "folds": folds,
            "seed": seed,
            "n_train": len(dict.fromkeys(data.prompts)),
        },
        metrics={
            "weights": dict(zip(plan.names, router.weights, strict=True)),
            "members": {
                name: _figures(rates, examples, held_folds)
                for name, rates in zip(plan.names, win_rates, strict=True)
            },
        },
        win_rates=unseen,
        scores=centred(unseen, held_folds),
    )


class _Plan:
    """The members, and what each one's trainer is called with."""

    def __init__(
        self,
        members: Sequence[str] | Mapping[str, str],
        settings: Mapping[str, Mapping[str, Any]],
        *,
        base: str | Path | None,
        work: str | Path | None,
        validation_share: float | None,
    ) -> None:
        self.members = _named(members)
        self.names = tuple(self.members)
        self._settings, self._base = settings, base
        self._work = None if work is None else Path(work)
        self._share = {} if validation_share is None else {"validation_share": validation_share}
        unknown = [name for name in settings if name not in self.members]
        if unknown:
            raise ConfigurationError(
                f"`settings` are of members, and {unknown[0]!r} is none of {', '.join(self.names)}."
            )

    @property
    def needs_embedder(self) -> bool:
        """Whether a member is over embeddings."""
        return any(self._takes(name, "embedder") for name in self.names)

    def check(self, embedder: Embedder | None) -> None:
        """Refuse to begin where a member's training could not."""
        for name, kind in self.members.items():
            if self._requires(name, "embedder") and embedder is None:
                raise ConfigurationError(f"Member {name!r} needs `embedder`.")
            given = self._base is not None or "base" in self._settings.get(name, {})
            if self._requires(name, "base") and not given:
                raise ConfigurationError(
                    f"Member {name!r} needs `base`: the pretrained model that {kind!r} starts from."
                )

    def train(
        self,
        name: str,
        data: TrainingData,
        pair: ModelPair,
        embedder: Embedder | None,
        *,
        seed: int,
        part: str,
    ) -> Router:
        """Return a member that was trained on the data."""
        options: dict[str, Any] = {"pair": pair, "seed": seed, **self._share}
        if self._takes(name, "embedder"):
            options["embedder"] = embedder
        if self._takes(name, "base"):
            options["base"] = self._base
            options["work"] = None if self._work is None else self._work / f"{name}-{part}"
        try:
            trainer = MEMBER_TRAINERS[self.members[name]]
            return trainer(data, **{**options, **self._settings.get(name, {})}).router
        except TypeError as error:
            if "keyword argument" not in str(error):
                raise
            raise ConfigurationError(f"Member {name!r}: {error}.") from error

    def _takes(self, name: str, argument: str) -> bool:
        return argument in signature(MEMBER_TRAINERS[self.members[name]]).parameters

    def _requires(self, name: str, argument: str) -> bool:
        found = signature(MEMBER_TRAINERS[self.members[name]]).parameters.get(argument)
        return found is not None and found.default is Parameter.empty


def _named(members: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return trainers by the members' names."""
    if isinstance(members, str) or not isinstance(members, (Mapping, Sequence)):
        raise ConfigurationError(
            f"`members` must be names of trainers, or trainers by name, got {members!r}."
        )
    named = dict(members) if isinstance(members, Mapping) else {name: name for name in members}
    if not named:
        raise ConfigurationError("An ensemble needs at least one member, got none.")
    if len(named) < len(members):
        raise ConfigurationError(
            f"Members must be different, got {', '.join(members)}. Several of one kind take names "
            "of their own: {'narrow': 'mlp', 'wide': 'mlp'}."
        )
    for kind in named.values():
        if not isinstance(kind, str) or kind not in MEMBER_TRAINERS:
            known = sorted(MEMBER_TRAINERS)
            raise ConfigurationError(
                f"Unknown member {kind!r}.{did_you_mean(str(kind), known)} An ensemble can be "
                f"trained of: {', '.join(known)}."
            )
    return named


def _dealt(
    prompts: Sequence[str], of_pair: Sequence[str], *, folds: int, seed: int
) -> dict[str, int]:
    """Return every prompt's fold, the prompts that both models answered spread evenly."""
    if type(folds) is not int or folds < 2:
        raise ConfigurationError(f"`folds` must be a whole number from 2 on, got {folds!r}.")
    if len(of_pair) < _MIN_EACH * folds:
        raise DataError(
            f"{len(of_pair)} prompts that both models answered are too few for {folds} folds: "
            f"{_MIN_EACH * folds} are needed."
        )
    rng = np.random.default_rng(seed)
    both = set(of_pair)
    others = [prompt for prompt in dict.fromkeys(prompts) if prompt not in both]
    ordered = [of_pair[row] for row in rng.permutation(len(of_pair))]
    ordered += [others[row] for row in rng.permutation(len(others))]
    return {prompt: place % folds for place, prompt in enumerate(ordered)}


def _weights(
    win_rates: NDArray[np.float64], examples: PairExamples, method: Method
) -> NDArray[np.float64]:
    if method == "mean":
        return np.full(len(win_rates), 1.0 / len(win_rates))
    return stacked_weights(win_rates, examples.labels)


def _held_out(
    win_rates: NDArray[np.float64],
    examples: PairExamples,
    folds: NDArray[np.int64],
    method: Method,
) -> NDArray[np.float64]:
    """Return each fold's means under the weights that were fitted on the others: (n,)."""
    found = np.empty(len(folds))
    for fold in np.unique(folds):
        others = np.flatnonzero(folds != fold)
        weights = _weights(win_rates[:, others], examples.select(others), method)
        found[folds == fold] = weights @ win_rates[:, folds == fold]
    return np.clip(found, 0.0, 1.0)


def _figures(
    win_rates: NDArray[np.float64], examples: PairExamples, folds: NDArray[np.int64]
) -> dict[str, float | None]:
    """Return how good one member's win rates are."""
    has_gap = float((examples.strong - examples.weak).mean()) > 0.0
    scores = centred(win_rates, folds)
    return {
        "apgr": apgr(scores, weak=examples.weak, strong=examples.strong) if has_gap else None,
        "brier": brier(win_rates, examples.labels),
    }
