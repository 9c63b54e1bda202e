"""What verifiers ask of models is in the record, the cost and the budget."""

import pytest

from routellm_core import Budget, Monitor
from routellm_core.answers import Answer, consistency, judge
from routellm_core.monitoring import CallRecord, Price
from routellm_core.strategies import BestOf, Cascade
from routellm_core.types import Usage
from tests.plan.toy import Toy

PRICES = {
    "model-weak": Price("w", 1.0, 1.0),
    "model-strong": Price("s", 0.0, 10.0),
    "judge": Price("j", 2.0, 3.0),
}


@pytest.fixture(params=["drive", "adrive", "stream", "astream"])
def way(request) -> str:
    return request.param


def answered(verifier, way, *, strategy=None, **options):
    records = []
    monitor = Monitor(records.append, prices=PRICES)
    strategy = strategy or Cascade(verifier, accept=0.9)
    toy = Toy(
        {"weak": "1234", "strong": "12345678"}, strategy, options={"monitor": monitor, **options}
    )
    toy.run(way)
    monitor.flush()
    (record,) = records
    return record


def test_samples_of_the_drafts_model_are_priced_as_its_own(way) -> None:
    verifier = consistency(2, ask=lambda _: Answer("5", usage=Usage(3, 4)))
    record = answered(verifier, way)
    assert [(step["expert"], step["outcome"]) for step in record.steps] == [
        ("weak", "sample"), ("weak", "sample"), ("weak", "rejected"), ("strong", "answered"),
    ]  # fmt: skip
    assert record.verifiers_usd == pytest.approx(2 * (3 + 4))
    assert record.attempts == 2
    if way.endswith("drive"):
        rest = record.strong_usd - record.cost_usd - record.drafts_usd
        assert record.saved_usd == pytest.approx(rest - 14.0)
    assert CallRecord.from_json(record.to_json()) == record


def test_a_judges_verdicts_have_its_own_price_and_a_second_try_counts(way) -> None:
    verdicts = iter(["?", '{"score": 5}'])
    verifier = judge("judge", ask=lambda _: Answer(next(verdicts), usage=Usage(10, 1)))
    record = answered(verifier, way)
    first = record.steps[0]
    assert (first["expert"], first["model"], first["outcome"]) == ("", "judge", "verdict")
    assert [step["outcome"] for step in record.steps] == ["verdict", "verdict", "accepted"]
    assert record.verifiers_usd == pytest.approx(2 * (10 * 2.0 + 3.0))
    assert record.drafts_usd == 0.0


def test_an_expert_may_be_the_judge_by_its_name(way) -> None:
    verifier = judge("strong", ask=lambda _: Answer('{"score": 5}', usage=Usage(10, 1)))
    record = answered(verifier, way)
    assert (record.steps[0]["expert"], record.steps[0]["model"]) == ("strong", "model-strong")
    assert record.verifiers_usd == pytest.approx(10.0)


def test_verdicts_that_nobody_counted_leave_costs_and_savings_unknown(way) -> None:
    record = answered(judge("judge", ask=lambda _: '{"score": 5}'), way)
    assert record.steps[0]["outcome"] == "verdict"
    assert "cost_usd" not in record.steps[0]
    assert record.verifiers_usd is None
    assert record.saved_usd is None


def test_a_call_whose_verifier_asks_nothing_has_no_such_cost(way) -> None:
    record = answered("no_refusal", way)
    assert record.verifiers_usd is None
    assert "verifiers_usd" not in record.values()
    assert [step["outcome"] for step in record.steps] == ["accepted"]


def test_the_best_of_several_pays_for_every_verdict(way) -> None:
    verifier = judge("judge", ask=lambda _: Answer('{"score": 5}', usage=Usage(10, 1)))
    record = answered(None, way, strategy=BestOf(choose=verifier))
    assert [step["outcome"] for step in record.steps].count("verdict") == 2
    assert record.verifiers_usd == pytest.approx(2 * 23.0)


def test_a_budget_counts_what_verifiers_ask() -> None:
    spent = []
    for usage in (Usage(0, 0), Usage(10, 1)):
        budget = Budget(1000.0, prices=PRICES, answer_tokens=1)
        verifier = judge("judge", ask=lambda _, usage=usage: Answer('{"score": 5}', usage=usage))
        answered(verifier, "drive", budget=budget)
        spent.append(budget.spent_usd)
    assert spent[1] - spent[0] == pytest.approx(23.0)
