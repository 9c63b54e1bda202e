"""Labels as the battles and outcomes that training reads, in a file that is whole or not there."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from routellm_core.data.routes import SUPERIOR
from routellm_core.errors import ConfigurationError
from routellm_core.labeling.feedback import feedback_quality
from routellm_core.labeling.soft import soft_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from routellm_core.labeling.plans import Labelled
    from routellm_core.labeling.settings import LabelSettings

__all__ = ["BattleRow", "LabelRow", "OutcomeRow", "label_rows", "write_lines", "write_rows"]

_SUFFICES = 4
_WINNERS = {1.0: "model_a", 0.5: "tie", 0.0: "model_b"}


@dataclass(frozen=True, slots=True)
class BattleRow:
    """A battle.

    Parameters
    ----------
    prompt
        The prompt.
    model_a, model_b
        Who answered; of a pair the strong model is a.
    score_a
        In [0, 1]: how probable it is that a's answer is better, a tie being one half.
    label
        The route, where the judge named one.
    score
        The mean score of b's answer beside a's, 1 to 5; None where none was asked for.
    """

    prompt: str
    model_a: str
    model_b: str
    score_a: float
    label: str = ""
    score: float | None = None

    @property
    def winner(self) -> str:
        """Who won, "model_a", "model_b" or "tie"; "" where the label is soft."""
        return _WINNERS.get(self.score_a, "")

    def to_json(self) -> str:
        """Return the row as one line of JSON, which `read_battles` reads."""
        values = {
            "prompt": self.prompt, "model_a": self.model_a, "model_b": self.model_b,
            "winner": self.winner or None, "score_a": self.score_a, "label": self.label or None,
            "score": self.score,
        }  # fmt: skip
        return _line(values)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """An outcome.

    Parameters
    ----------
    prompt, model
        Who answered what.
    quality
        In [0, 1].
    cost
        Of an answer, in US dollars; None when it is not known.
    weight
        How much feedback says; None for other modes.
    """

    prompt: str
    model: str
    quality: float
    cost: float | None = None
    weight: float | None = None

    def to_json(self) -> str:
        """Return the row as one line of JSON, which `read_outcomes` reads."""
        return _line(
            {
                "prompt": self.prompt, "model": self.model, "quality": self.quality,
                "cost": self.cost, "weight": self.weight,
            }
        )  # fmt: skip


LabelRow: TypeAlias = "BattleRow | OutcomeRow"
"""What one label becomes."""


def label_rows(labelled: Sequence[Labelled], settings: LabelSettings) -> list[list[LabelRow]]:
    """Return the rows of each labelled prompt, in order; none for one without a label.

    A prompt of which soft labels are made has one battle; the shift of "trans" is searched over
    all of them together.
    """
    usable = [one for one in labelled if not one.problem]
    if settings.soft is not None:
        made = iter(_soft_rows(usable, settings))
    else:
        made = iter([_rows(one, settings) for one in usable])
    return [[] if one.problem else next(made) for one in labelled]


def _rows(one: Labelled, settings: LabelSettings) -> list[LabelRow]:
    text = one.prompt.prompt
    if settings.mode == "pairwise":
        return [
            BattleRow(text, a, b, math.fsum(v.score_a for v in verdicts) / len(verdicts))
            for (a, b), verdicts in one.verdicts.items()
        ]
    if settings.mode == "route":
        strong, weak = settings.models
        return [BattleRow(text, strong, weak, 1.0 if one.route == SUPERIOR else 0.5, one.route)]
    if settings.mode == "feedback":
        return _feedback_rows(one, settings)
    if settings.rates_pair:
        strong, weak = settings.models
        wins = [1.0 if score < _SUFFICES else 0.5 for score in one.scores]
        mean = math.fsum(one.scores) / len(one.scores)
        return [BattleRow(text, strong, weak, math.fsum(wins) / len(wins), score=mean)]
    return [
        OutcomeRow(text, model, math.fsum(found) / len(found), _known(one.cost_usd(model)))
        for model, found in one.qualities.items()
    ]


def _feedback_rows(one: Labelled, settings: LabelSettings) -> list[LabelRow]:
    models = settings.models or tuple(one.prompt.feedback)
    found: list[LabelRow] = []
    for model in models:
        quality, weight = feedback_quality(one.prompt.feedback.get(model, ()))
        if weight:
            found.append(OutcomeRow(one.prompt.prompt, model, quality, weight=weight))
    return found


def _soft_rows(labelled: Sequence[Labelled], settings: LabelSettings) -> list[list[LabelRow]]:
    if not labelled:
        return []
    strong, weak = settings.models
    suffices = soft_labels(
        np.array([one.qualities[weak] for one in labelled]),
        np.array([one.qualities[strong] for one in labelled]),
        mode=settings.soft or "prob",
    )
    return [
        [BattleRow(one.prompt.prompt, strong, weak, 1.0 - float(share))]
        for one, share in zip(labelled, suffices, strict=True)
    ]


def _known(cost: float) -> float | None:
    return None if math.isnan(cost) else cost


def _line(values: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in values.items() if value is not None})


def write_rows(path: str | Path, rows: Iterable[LabelRow]) -> None:
    """Replace a file with rows, one a line; see `write_lines`."""
    write_lines(path, (row.to_json() for row in rows))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Replace a file with lines of ASCII, at once: whoever looks sees the old file or the new one.

    The file is its owner's alone, for it holds prompts.

    Raises
    ------
    ConfigurationError
        If its folder does not exist.
    OSError
        If the disk is full, for example; the file is then as it was.
    """
    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"The folder of {str(path)!r} does not exist. Make it first.")
    part = path.with_name(f".{path.name}.part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii", newline="\n") as stream:
            for line in lines:
                stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
