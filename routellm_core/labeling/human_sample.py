"""How far the judge agrees with people who judged some of the prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.battles import Battles, read_battles
from routellm_core.data.messages import prompt_field
from routellm_core.data.outcomes import Outcomes, read_outcomes
from routellm_core.data.routes import read_route
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.agreement import (
    Interval,
    agreement,
    cohen_kappa,
    corrected_rate,
)
from routellm_core.labeling.label_rows import BattleRow
from routellm_core.labeling.logged import is_same_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from routellm_core.data.rows import RowSource
    from routellm_core.labeling.label_rows import LabelRow
    from routellm_core.labeling.settings import LabelSettings

__all__ = ["HumanSample", "JudgeAgreement", "judge_agreement", "read_human_sample"]

_GOOD = 0.75
"""The quality from which an answer will do: score 4 of 5."""
_FEW = 20

Key = tuple[str, ...]
"""A prompt and the models that a label is about."""


@dataclass(frozen=True, slots=True)
class HumanSample:
    """What people said.

    Parameters
    ----------
    labels
        By prompt and models, in any order for battles: the label. Of a battle the winner's name or
        "tie"; of an answer "good" or "bad".
    """

    labels: Mapping[Key, str]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def prompts(self) -> frozenset[str]:
        """The prompts that people judged."""
        return frozenset(key[0] for key in self.labels)


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """How far judge and people agree, on what both judged.

    Parameters
    ----------
    n, n_decided
        Labels that both gave, and those of which neither is a tie.
    agreement, kappa
        The share of equal labels, and Cohen's kappa, ties included.
    decided_agreement, decided_kappa
        The same without ties.
    corrected
        The share of all labels with which the strong model is better, or an answer is good, after
        correction for the judge's errors; None where the sample does not tell them.
    """

    n: int
    n_decided: int
    agreement: Interval
    kappa: Interval
    decided_agreement: Interval
    decided_kappa: Interval
    corrected: Interval | None = None

    @property
    def is_telling(self) -> bool:
        """Whether there are enough labels to tell a judge from chance."""
        return self.n >= _FEW

    @property
    def is_chance(self) -> bool:
        """Whether the judge cannot be told from one that labels at random."""
        return not self.kappa.low > 0.0


def read_human_sample(source: RowSource, settings: LabelSettings) -> HumanSample:
    """Read people's labels: battles, outcomes, or prompts with a `label` that names the route.

    Of several people's labels of one battle or answer the mean counts.

    Parameters
    ----------
    source
        As `read_battles` and `read_outcomes` read it.
    settings
        Of the run. Models are found by their names with or without a provider.

    Raises
    ------
    DataError
        If nothing can be read from it.
    ConfigurationError
        If the mode has no judge.
    """
    if settings.judge is None:
        raise ConfigurationError(
            f"A human sample measures a judge, and mode {settings.mode!r} has none."
        )
    rows = [row for _, row in numbered_rows(source) if not isinstance(row, DataError)]
    if any("quality" in row for row in rows):
        return HumanSample(_outcome_labels(read_outcomes(rows), settings))
    routes = [_battle_of(row, settings) for row in rows if "label" in row]
    others = [row for row in rows if "label" not in row]
    return HumanSample(_battle_labels(read_battles([*others, *filter(None, routes)]), settings))


def _battle_of(row: Mapping[str, Any], settings: LabelSettings) -> Mapping[str, Any] | None:
    label = read_route(str(row["label"]))
    if label is None or len(settings.models) != 2:
        return None
    strong, weak = settings.models
    winner = "model_a" if label.endswith("SUPERIOR") else "tie"
    return {"prompt": prompt_field(row), "model_a": strong, "model_b": weak, "winner": winner}


def _battle_labels(battles: Battles, settings: LabelSettings) -> dict[Key, str]:
    names = {model: _own_name(model, settings.models) for model in battles.models}
    scores: dict[Key, list[float]] = {}
    for prompt, a, b, score in zip(
        battles.prompts, battles.model_a, battles.model_b, battles.score_a, strict=True
    ):
        first, second = names[battles.models[a]], names[battles.models[b]]
        key = _battle_key(prompt, first, second)
        scores.setdefault(key, []).append(float(score if key[1] == first else 1.0 - score))
    return {key: _winner(key, float(np.mean(found))) for key, found in scores.items()}


def _outcome_labels(outcomes: Outcomes, settings: LabelSettings) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for row, prompt in enumerate(outcomes.prompts):
        for column, model in enumerate(outcomes.models):
            quality = outcomes.quality[row, column]
            if np.isfinite(quality):
                key = (prompt, _own_name(model, settings.models))
                found[key] = "good" if quality >= _GOOD else "bad"
    return found


def judge_agreement(
    rows: Iterable[LabelRow], sample: HumanSample, settings: LabelSettings
) -> JudgeAgreement:
    """Return how far the judge's labels agree with people's.

    Where the judge says only whether the weak model will do, people's labels are read so, too.
    """
    binary = settings.mode == "route" or settings.rates_pair
    said = {_key(row): _label(row) for row in rows}
    if binary:
        strong = settings.models[0]
        said = {key: _binary(label, strong) for key, label in said.items()}
    both = [key for key in said if key in sample.labels]
    judged = [said[key] for key in both]
    people = [sample.labels[key] for key in both]
    if binary:
        people = [_binary(label, settings.models[0]) for label in people]
    decided = [i for i, pair in enumerate(zip(judged, people, strict=True)) if "tie" not in pair]
    clear = [judged[i] for i in decided], [people[i] for i in decided]
    yes = "good" if any(label in ("good", "bad") for label in said.values()) else None
    return JudgeAgreement(
        n=len(both),
        n_decided=len(decided),
        agreement=agreement(judged, people),
        kappa=cohen_kappa(judged, people),
        decided_agreement=agreement(*clear),
        decided_kappa=cohen_kappa(*clear),
        corrected=_corrected(list(said.values()), judged, people, yes=yes or settings.models[0]),
    )


def _corrected(
    said: Sequence[str], judged: Sequence[str], people: Sequence[str], *, yes: str
) -> Interval | None:
    positives = [one == yes for one, truth in zip(judged, people, strict=True) if truth == yes]
    negatives = [one != yes for one, truth in zip(judged, people, strict=True) if truth != yes]
    if not positives or not negatives:
        return None
    hits, rejections = sum(positives), sum(negatives)
    if hits / len(positives) + rejections / len(negatives) <= 1.0:
        return None
    return corrected_rate(
        sum(one == yes for one in said), len(said),
        hits=hits, positives=len(positives), rejections=rejections, negatives=len(negatives),
    )  # fmt: skip


def _key(row: LabelRow) -> Key:
    if isinstance(row, BattleRow):
        return _battle_key(row.prompt, row.model_a, row.model_b)
    return (row.prompt, row.model)


def _battle_key(prompt: str, first: str, second: str) -> Key:
    return (prompt, *sorted((first, second)))


def _label(row: LabelRow) -> str:
    if not isinstance(row, BattleRow):
        return "good" if row.quality >= _GOOD else "bad"
    key = _key(row)
    score = row.score_a if key[1] == row.model_a else 1.0 - row.score_a
    # A judge's verdict is a winner only where both orders agree: one win and one tie are a tie.
    return "tie" if 0.25 <= score <= 0.75 else _winner(key, score)


def _winner(key: Key, score: float) -> str:
    """Return the winner of a battle from the score of the first of its models in order."""
    if score == 0.5:
        return "tie"
    return key[1] if score > 0.5 else key[2]


def _binary(label: str, strong: str) -> str:
    return strong if label == strong else "suffices"


def _own_name(model: str, models: Sequence[str]) -> str:
    if model in models:
        return model
    return next((own for own in models if is_same_model(own, model)), model)
