"""Fit the outcome model to sources and seed prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders._surface import SURFACE_NAMES
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.training.bundled.abilities import prior_abilities
from routellm_core.training.bundled.demands import (
    OutcomeBlock,
    Standardiser,
    fit_demands,
    logistic,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.training.bundled.sources import Source
    from routellm_core.training.bundled.topics import Seed

__all__ = ["USED_SURFACE", "FitSettings", "Fitted", "fit_outcomes"]

USED_SURFACE = frozenset(
    {
        "log_chars",
        "log_long",
        "log_question_chars",
        "log_option_chars",
        "has_options",
        "log_numbers",
        "numbers_in_options",
        "command_share",
        "operator_share",
        "code_share",
        "digit_share",
        "log_sentence_chars",
    }
)
"""The surface features that the router uses: those that tell kinds of tasks apart anywhere."""
_NEVER = 1e6
_LENGTHS = {"log_chars": 1.0, "log_long": 1.0 / 3.0}

# Log-odds of being right on a seed prompt at general ability 0, and per unit of ability: easy ones
# are within everybody's reach, hard ones separate models.
_SEED_EASE = {"easy": (4.0, 0.3), "medium": (1.8, 0.8), "hard": (-0.3, 1.8)}
_SEED_ABILITIES = np.linspace(-1.0, 1.7, 5)


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What the validation chose.

    Parameters
    ----------
    penalty
        Ridge penalty on the projection.
    topic_factor, surface_factor, brevity_factor
        Factors on the penalty of the topics, of the surface and of the brevity features.
    seed_weight
        What the seed prompts count, all sources together being 1.
    source_power
        A source of n prompts counts n to this power: 0 alike, 1 by size.
    budget_weight
        Factor on what a source that may not ship counts: the label budget, if one is fitted on.
    length_prior
        How much ability is believed to matter more on longer texts, before any outcome is seen:
        where the penalty pulls that entry of the projection to; a third of it beyond the length at
        which a text is just short.
    length_factor
        Factor on the penalty that pulls it there.
    ease_penalty
        How strongly models' eases within a source are drawn to a line in general ability.
    """

    penalty: float = 0.03
    topic_factor: float = 0.02
    surface_factor: float = 1.0
    brevity_factor: float = 0.1
    seed_weight: float = 1.0
    source_power: float = 0.5
    budget_weight: float = 3.0
    length_prior: float = 0.15
    length_factor: float = 10.0
    ease_penalty: float = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted outcome model, and what it says of models that it never saw."""

    model: OutcomeModel
    ease: float
    """The ease of a model of general ability 0."""
    slope: float
    """What a unit of general ability adds to it."""

    def pair_scores(
        self, embeddings: NDArray[np.float32], *, strong: float, weak: float
    ) -> NDArray[np.float64]:
        """Return win rates for two models known by general ability only: (n, d) -> (n,)."""
        demands = self.model.demands(embeddings)
        right = [
            logistic(self.ease + self.slope * z + demands @ _ability_vector(np.array([z]))[0])
            for z in (strong, weak)
        ]
        return 0.5 * (1.0 + right[0] - right[1])


def fit_outcomes(
    sources: Sequence[Source],
    embeddings: Sequence[NDArray[np.float32]],
    seeds: Sequence[Seed],
    seed_embeddings: NDArray[np.float32],
    *,
    parts: Mapping[str, slice],
    settings: FitSettings,
) -> Fitted:
    """Fit demands and abilities.

    Parameters
    ----------
    sources
        At least one.
    embeddings
        For every source, shape (n, d).
    seeds
        Seed prompts to fit on, may be empty.
    seed_embeddings
        Shape (len(seeds), d), their topics as fitted without them.
    parts
        Where `meaning`, `topics` and `surface` lie in an embedding.
    settings
        Penalties and weights.
    """
    standardise = Standardiser.fit(np.concatenate([*embeddings, seed_embeddings]))
    priors = [prior_abilities(source.models) for source in sources]
    blocks = [
        OutcomeBlock(
            features=standardise(embedded),
            quality=source.quality,
            abilities=_ability_vector(prior),
            weight=len(source.prompts) ** settings.source_power
            * (1.0 if source.may_ship else settings.budget_weight),
            pooled=True,
        )
        for source, embedded, prior in zip(sources, embeddings, priors, strict=True)
    ]
    if seeds and settings.seed_weight > 0.0:
        total = sum(block.weight for block in blocks)
        features = standardise(seed_embeddings)
        blocks.append(_seed_block(seeds, features, settings.seed_weight * total))
    penalties, centre = _prior(len(standardise.mean), parts, settings)
    fitted = fit_demands(
        blocks, penalties=penalties, centre=centre, ease_penalty=settings.ease_penalty
    )
    eases = fitted.eases[: len(sources)]
    offsets, slope = _source_offsets(eases, priors)
    known: dict[str, tuple[float, float]] = {}
    for source, ease, prior, offset in zip(sources, eases, priors, offsets, strict=True):
        for name, own, ability in zip(source.models, ease, prior, strict=True):
            known.setdefault(name, (float(own - offset), float(ability)))
    names = sorted(known)
    mean_offset = float(np.mean(offsets))
    abilities = _ability_vector(np.array([known[name][1] for name in names]))
    model = OutcomeModel(
        models=tuple(names),
        mean=standardise.mean.astype(np.float32),
        scale=standardise.scale.astype(np.float32),
        bound=standardise.bound,
        projection=fitted.projection.astype(np.float32),
        abilities=abilities.astype(np.float32),
        eases=np.array([known[name][0] + mean_offset for name in names], dtype=np.float32),
    )
    return Fitted(model, ease=mean_offset, slope=slope)


def _prior(
    d: int, parts: Mapping[str, slice], settings: FitSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return penalties and the values they pull to: (d, 2) each."""
    penalties = np.full((d, 2), settings.penalty)
    centre = np.zeros((d, 2))
    penalties[parts["topics"]] *= settings.topic_factor
    penalties[parts["brevity"]] *= settings.brevity_factor
    surface = parts["surface"]
    for offset, name in enumerate(SURFACE_NAMES):
        row = surface.start + offset
        penalties[row] *= settings.surface_factor if name in USED_SURFACE else _NEVER
        if name in _LENGTHS:
            penalties[row] *= settings.length_factor
            centre[row, 1] = settings.length_prior * _LENGTHS[name]
    return penalties, centre


def _ability_vector(general: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(general), general], axis=1)


def _seed_block(
    seeds: Sequence[Seed], features: NDArray[np.float64], weight: float
) -> OutcomeBlock:
    ease, slope = np.array([_SEED_EASE[seed.level] for seed in seeds]).T
    quality = logistic(ease[:, None] + slope[:, None] * _SEED_ABILITIES)
    return OutcomeBlock(features, quality, _ability_vector(_SEED_ABILITIES), weight)


def _source_offsets(
    eases: Sequence[NDArray[np.float64]], priors: Sequence[NDArray[np.float64]]
) -> tuple[list[float], float]:
    """Split eases into how easy each source is, and a common slope on general ability."""
    centred = np.concatenate([prior - prior.mean() for prior in priors])
    values = np.concatenate([ease - ease.mean() for ease in eases])
    slope = float(centred @ values / max(float(centred @ centred), 1e-9))
    offsets = [
        float(ease.mean() - slope * prior.mean()) for ease, prior in zip(eases, priors, strict=True)
    ]
    return offsets, slope
