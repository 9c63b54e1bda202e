"""What a strategy asks before its answer counts wherever a log or a budget is added up."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routellm_core import Budget, Monitor, Price, ShadowSettings
from routellm_core.answers import Answer, judge
from routellm_core.labeling.shadow_estimates import estimate_shadows
from routellm_core.monitoring import LogReader
from routellm_core.monitoring.endings import Pricing
from routellm_core.monitoring.replay import replay
from routellm_core.monitoring.summary import summarise
from routellm_core.plan import OtherAnswer
from routellm_core.strategies import BestOf, Cascade, Predict
from routellm_core.testing import ScriptedRouter
from routellm_core.types import Usage
from tests.plan.toy import Toy

PRICES = {
    "model-weak": Price("model-weak", 1e-3, 1e-3),
    "model-strong": Price("model-strong", 1e-2, 1e-2),
    "judge": Price("judge", 1e-2, 1e-2),
}
MODELS = {"weak": "12345678", "strong": "12345678"}


def other(expert: str, *, timeout_s: float) -> OtherAnswer:
    return OtherAnswer(Answer("x" * 8), Usage(4, 8))


def judged(*scores: int) -> Any:
    given = iter(scores)
    verdict = lambda _: Answer(json.dumps({"score": next(given)}), usage=Usage(100, 1))  # noqa: E731
    return judge("judge", ask=verdict)


def shadowed(log: Path, strategy: Any, **options: Any) -> Toy:
    monitor = Monitor(log, prices=PRICES, keep_prompt_chars=1000)
    shadow = ShadowSettings(share=1.0, budget_usd=None)
    return Toy(
        MODELS, strategy, options={"monitor": monitor, "shadow": shadow}, other=other, **options
    )


def test_drafts_and_verdicts_are_in_every_sum_of_a_log(tmp_path: Path) -> None:
    toy = shadowed(tmp_path / "log.jsonl", Cascade(judged(5, 5, 1, 1, 5, 5, 1, 1), accept=0.9))
    for _ in range(8):
        toy.run("drive")
    toy.guards.shadow.drain(timeout_s=5.0)
    reader = LogReader(tmp_path / "log.jsonl")
    reader.notes = []
    records = list(reader)
    assert {record.route for record in records} == {"weak", "strong"}
    bill = math.fsum(
        usd or 0.0 for r in records for usd in (r.cost_usd, r.drafts_usd, r.verifiers_usd)
    )
    saved = math.fsum(record.saved_usd or 0.0 for record in records)
    assert saved < -7.0
    total = summarise(records).total
    assert (total.cost_usd, total.saved_usd) == (pytest.approx(bill), pytest.approx(saved))
    again = replay(records, pricing=Pricing(PRICES))
    assert again.actual.cost_usd == again.replayed.cost_usd == pytest.approx(bill)
    estimated = estimate_shadows(records, reader.notes).saved_usd
    assert estimated is not None
    assert estimated.value == pytest.approx(saved)


def test_a_verdict_tells_a_budget_nothing_of_what_an_answer_costs() -> None:
    budget = Budget(100.0, prices=PRICES, answer_tokens=500)
    asks = judge("model-strong", ask=lambda _: Answer('{"score": 5}', usage=Usage(1, 1)))
    toy = Toy(MODELS, Cascade(asks, accept=0.5), options={"budget": budget})
    before = budget._expected_usd("model-strong", _asked())
    toy.run("drive")
    assert budget.spent_usd > 0.02
    assert budget._expected_usd("model-strong", _asked()) == before


def _asked() -> Any:
    from routellm_core.plan.budget import _Asked

    return _Asked(100, {})


def test_the_best_of_several_has_a_shadow(tmp_path: Path) -> None:
    toy = shadowed(tmp_path / "log.jsonl", BestOf(choose=judged(5, 3)))
    toy.run("drive")
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert (toy.guards.shadow.n_answered, toy.guards.shadow.n_failed) == (1, 0)


@pytest.mark.parametrize("quality", [(0.2, 0.9), (0.9, 0.2), (0.5, 0.6)])
def test_every_choice_by_quality_and_price_may_have_a_shadow(
    tmp_path: Path, quality: tuple[float, float]
) -> None:
    class Rating(ScriptedRouter):
        def qualities(self, prompts: Any, models: Any) -> Any:
            return np.tile(quality, (len(prompts), 1))

    strategy = Predict(1.0, prices=PRICES)
    toy = shadowed(tmp_path / "log.jsonl", strategy, router=Rating({}, default=0.5))
    toy.run("drive")
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert toy.guards.shadow.n_answered == 1
