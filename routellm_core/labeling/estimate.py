"""What labelling will take: its calls and its price, before any is made."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from routellm_core.labeling.calls import Reply
from routellm_core.labeling.plans import labelling_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.labeling.calls import Call
    from routellm_core.labeling.journal import Journal
    from routellm_core.labeling.logged import LoggedPrompt
    from routellm_core.labeling.settings import LabelSettings
    from routellm_core.labeling.spending import PriceList

__all__ = ["Estimate", "ModelEstimate", "estimate"]

_CHARS_PER_TOKEN = 4
_VERDICT_TOKENS = 12
_VERDICTS = {
    "pairwise": '{"better": "tie"}',
    "score": '{"score": 3}',
    "route": "ROUTE_TO_INFERIOR",
}


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """The calls of one model.

    Parameters
    ----------
    model
        Its name.
    n_calls
        Calls to be made.
    n_paid
        Calls whose answers earlier runs have paid for.
    cost_usd
        Of the calls to be made; NaN when the price is unknown.
    """

    model: str
    n_calls: int
    n_paid: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What labelling will take.

    Parameters
    ----------
    n_prompts
        Prompts to be labelled.
    models
        What each model is asked, the models first and the judge last.
    spent_usd
        What earlier runs spent.
    problems
        How many prompts will get no label, by reason, as "no reference"; what models will answer
        is not known.
    """

    n_prompts: int
    models: tuple[ModelEstimate, ...]
    spent_usd: float = 0.0
    problems: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_calls(self) -> int:
        """Calls to be made."""
        return sum(one.n_calls for one in self.models)

    @property
    def cost_usd(self) -> float:
        """What they will likely cost; NaN when a price is unknown."""
        return math.fsum(one.cost_usd for one in self.models if one.n_calls)


def estimate(
    prompts: Sequence[LoggedPrompt],
    settings: LabelSettings,
    prices: PriceList,
    *,
    answer_tokens: int = 300,
    journal: Journal | None = None,
) -> Estimate:
    """Estimate the calls and the price of labelling prompts, without asking anybody.

    Tokens are a quarter of the characters. Repairs of verdicts and repeated calls come on top.

    Parameters
    ----------
    prompts
        As they will be labelled.
    settings, prices
        What is asked of whom, and what that costs.
    answer_tokens
        The length of an answer, where the log holds none of the model's answers; else their mean.
    journal
        What earlier runs have paid for.
    """
    count = _Count(prices, _lengths(prompts, settings, answer_tokens), journal)
    problems: Counter[str] = Counter()
    for prompt in prompts:
        plan = labelling_plan(prompt, settings)
        try:
            calls = next(plan)
            while True:
                calls = plan.send([count.reply(call) for call in calls])
        except StopIteration as end:
            if end.value.problem:
                problems[end.value.problem] += 1
    order = dict.fromkeys((*settings.models, *filter(None, [settings.judge])))
    models = tuple(count.of(model) for model in order if model in count.models)
    spent_usd = 0.0 if journal is None else journal.spent_usd
    return Estimate(len(prompts), models, spent_usd, dict(problems))


class _Count:
    """Answers calls with what is likely, and counts them: each once, whoever asks for it."""

    def __init__(
        self, prices: PriceList, lengths: Mapping[str, float], journal: Journal | None
    ) -> None:
        self._prices = prices
        self._lengths = lengths
        self._journal = journal
        self._seen: set[str] = set()
        self._n_calls: Counter[str] = Counter()
        self._n_paid: Counter[str] = Counter()
        self._cost: dict[str, list[float]] = {}

    @property
    def models(self) -> set[str]:
        return {*self._n_calls, *self._n_paid}

    def of(self, model: str) -> ModelEstimate:
        """Return what was counted for a model."""
        is_known = model not in self._prices.unknown
        cost = math.fsum(self._cost.get(model, ())) if is_known else math.nan
        return ModelEstimate(model, self._n_calls[model], self._n_paid[model], cost)

    def reply(self, call: Call) -> Reply:
        """Return the answer of an earlier run, or a likely one."""
        known = None if self._journal is None else self._journal.reply(call.key)
        if call.key not in self._seen:
            self._seen.add(call.key)
            if known is None:
                self._n_calls[call.model] += 1
                cost = self._prices.expected_usd(call, output_tokens=self._tokens(call))
                self._cost.setdefault(call.model, []).append(cost)
            else:
                self._n_paid[call.model] += 1
        if known is not None:
            return known
        if call.purpose == "verdict":
            return Reply(_VERDICTS[call.template.partition("-")[0]])
        # Different for each answer: equal ones are not judged.
        text = f"{call.model} {call.sample} "
        return Reply(text.ljust(int(self._tokens(call) * _CHARS_PER_TOKEN), "."))

    def _tokens(self, call: Call) -> float:
        return _VERDICT_TOKENS if call.purpose == "verdict" else self._lengths[call.model]


def _lengths(
    prompts: Sequence[LoggedPrompt], settings: LabelSettings, answer_tokens: int
) -> dict[str, float]:
    """Return the expected tokens of each model's answers."""
    found = {}
    for model in settings.models:
        logged = [len(p.answers[model]) for p in prompts if p.answers.get(model)]
        mean = sum(logged) / len(logged) / _CHARS_PER_TOKEN if logged else float(answer_tokens)
        found[model] = min(mean, float(settings.max_tokens))
    return found
