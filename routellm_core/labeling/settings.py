"""How prompts are labelled: the mode, the models, the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.labeling.logged import is_same_model
from routellm_core.labeling.references import COMPARISONS
from routellm_core.labeling.soft import SOFT_MODES, SoftMode

__all__ = ["ANSWERED_MODES", "JUDGED_MODES", "LabelMode", "LabelSettings"]

LabelMode = Literal["pairwise", "score", "reference", "route", "feedback"]
"""How a label comes about; see `LabelSettings`."""

JUDGED_MODES = ("pairwise", "score", "route")
"""Modes that ask a judge."""
ANSWERED_MODES = ("pairwise", "score", "reference")
"""Modes that need the models' answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """What is asked of whom.

    Parameters
    ----------
    mode
        - "pairwise": a judge says which of two answers is better, in both orders. Battles.
        - "score": a judge rates the weak model's answer 1 to 5 beside the strong one's, and from 4
          on it will do: battles. With one model or several, or with `soft`, every answer is rated
          alone: outcomes.
        - "reference": the log's known answers decide. Outcomes.
        - "route": a judge guesses from the prompt alone. Battles.
        - "feedback": what users did decides. Outcomes.
    models
        Names as LiteLLM writes them; of a pair the strong one first.
    judge
        Who is asked for verdicts.
    max_tokens, judge_tokens
        The most tokens of an answer, and of a verdict; a judge that reasons needs more than 64.
    n_answers
        How many answers of each model to each prompt; several are drawn at temperature 1.
    soft
        How several answers of a pair become one label; see `soft_labels`. For "score" and
        "reference".
    comparison
        How answers are compared with known ones; see `is_right`.
    run_code
        Whether code that models wrote may be run here, for the comparison "code".
    examples
        Prompts and their routes to show the judge of mode "route".
    max_chars
        The most characters of each text that the judge reads.
    redact
        Whether what looks like a key or a password is kept from models and judge.

    Raises
    ------
    ConfigurationError
        If a value cannot be used, or the mode lacks something.
    """

    mode: LabelMode = "pairwise"
    models: tuple[str, ...] = ()
    judge: str | None = None
    max_tokens: int = 1024
    judge_tokens: int = 64
    n_answers: int = 1
    soft: SoftMode | None = None
    comparison: str = "normalised"
    run_code: bool = False
    examples: tuple[tuple[str, str], ...] = ()
    max_chars: int = 12_000
    redact: bool = True

    def __post_init__(self) -> None:
        modes = list(get_args(LabelMode))
        if self.mode not in modes:
            raise ConfigurationError(
                f"Unknown mode {self.mode!r}.{did_you_mean(self.mode, modes)} "
                f"Modes: {', '.join(modes)}."
            )
        for name in ("max_tokens", "judge_tokens", "n_answers", "max_chars"):
            if getattr(self, name) < 1:
                raise ConfigurationError(
                    f"`{name}` must be at least 1, got {getattr(self, name)!r}."
                )
        if len(set(self.models)) < len(self.models):
            raise ConfigurationError(f"The models must differ, got {', '.join(self.models)}.")
        self._check_parties()
        self._check_labels()

    def _check_parties(self) -> None:
        if self.mode in JUDGED_MODES and not self.judge:
            raise ConfigurationError(f"Mode {self.mode!r} needs a `judge`, a model that is asked.")
        if self.mode == "route" and len(self.models) != 2:
            raise ConfigurationError(
                "Mode 'route' needs the `strong` and the `weak` model that its labels are about."
            )
        least = {"pairwise": 2, "score": 1, "reference": 1}.get(self.mode, 0)
        if len(self.models) < least:
            raise ConfigurationError(
                f"Mode {self.mode!r} needs {least} or more models, got {len(self.models)}. Name "
                "`strong` and `weak`, or each `model`."
            )
        if self.n_answers > 1 and self.mode not in ANSWERED_MODES:
            raise ConfigurationError(f"Mode {self.mode!r} asks for no answers: `n_answers` is 1.")

    def _check_labels(self) -> None:
        if self.comparison not in COMPARISONS:
            known = list(COMPARISONS)
            raise ConfigurationError(
                f"Unknown comparison {self.comparison!r}.{did_you_mean(self.comparison, known)} "
                f"Comparisons: {', '.join(known)}."
            )
        if self.mode == "reference" and self.comparison == "code" and not self.run_code:
            raise ConfigurationError(
                "The comparison 'code' runs code that models wrote, with your rights. Do so in a "
                "container, and allow it with `--run-code` (`run_code=True`)."
            )
        if self.soft is None:
            return
        if self.soft not in SOFT_MODES:
            raise ConfigurationError(
                f"`soft` must be one of {', '.join(SOFT_MODES)}, got {self.soft!r}."
            )
        if self.mode not in ("score", "reference") or len(self.models) != 2:
            raise ConfigurationError(
                "`soft` compares the qualities of a pair's answers: it needs mode 'score' or "
                f"'reference' and two models, got {self.mode!r} and {len(self.models)}."
            )

    @property
    def rates_pair(self) -> bool:
        """Whether the weak model's answer is rated beside the strong one's."""
        return self.mode == "score" and len(self.models) == 2 and self.soft is None

    def warnings(self) -> list[str]:
        """Return what is doubtful about these settings, in sentences."""
        found = []
        judge = self.judge
        own = [m for m in self.models if judge and is_same_model(m, judge)]
        if own and self.mode in ("pairwise", "score"):
            found.append(
                f"The judge {judge!r} is one of the models: judges prefer their own answers. Take "
                "another one, or check it with a human sample."
            )
        if self.mode == "route":
            found.append(
                "Mode 'route' is the cheapest and the weakest: nobody sees an answer. Check it "
                "with a human sample, or label a part in mode 'pairwise' and compare."
            )
        return found
