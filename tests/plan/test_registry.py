"""Strategies by name, from packages of others, and what each must keep."""

import pytest

from routellm_core import ConfigurationError
from routellm_core.answers import check
from routellm_core.monitoring import Price
from routellm_core.plan import Ask
from routellm_core.strategies import (
    BestOf,
    Cascade,
    CascadeRouting,
    Hybrid,
    Predict,
    Strategy,
    load_strategy,
    strategy_names,
)
from routellm_core.testing import STRATEGY_CHECKS

LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
PRICES = {"big": Price("big", 1e-6, 1e-5), "small": Price("small", 1e-7, 1e-6)}
OURS = {
    "predict": Predict(),
    "by cost": Predict(2.0, prices=PRICES),
    "cascade": Cascade(LONG, accept=0.5),
    "hybrid": Hybrid(LONG, accept=0.5, band=(0.3, 0.7)),
    "best of": BestOf(choose=LONG),
    "samples": BestOf(3, choose="vote"),
    "cascade routing": CascadeRouting(LONG, quality_per_usd=1.0, spread=(0.3, 0.1), prices=PRICES),
}


@pytest.mark.parametrize("strategy", OURS.values(), ids=OURS)
@pytest.mark.parametrize("keeps", STRATEGY_CHECKS, ids=lambda keeps: keeps.__name__)
def test_every_strategy_keeps_the_contract(keeps, strategy) -> None:
    keeps(strategy)


class Endless(Cascade):
    name = "endless"

    def steps(self, decision, experts):
        while True:
            yield Ask("weak", self.verifier, 0.5)


class Elsewhere(Cascade):
    name = "elsewhere"

    def steps(self, decision, experts):
        yield Ask("strong")


class Busybody(Cascade):
    name = "busybody"

    def plan(self, decision, experts):
        return self.steps(decision, experts.names)


@pytest.mark.parametrize(
    ("broken", "says"),
    [(Endless, "more than 100 steps"), (Elsewhere, "decided and"), (Busybody, "plans a call")],
)
def test_the_checks_find_a_strategy_that_breaks_the_contract(broken, says) -> None:
    found = []
    for keeps in STRATEGY_CHECKS:
        try:
            keeps(broken(LONG, accept=0.5))
        except AssertionError as error:
            found.append(str(error))
    assert any(says in message for message in found), found


def test_a_strategy_has_a_name_and_options() -> None:
    assert strategy_names() == ["best_of", "cascade", "cascade_routing", "hybrid", "predict"]
    made = load_strategy("hybrid", LONG, accept=0.5, band=(0.2, 0.8))
    assert isinstance(made, Hybrid)
    with pytest.raises(ConfigurationError, match="Did you mean 'cascade'"):
        load_strategy("casacde", LONG, accept=0.5)
    with pytest.raises(ConfigurationError, match="cannot be made"):
        load_strategy("cascade", LONG, level=0.5)


def test_a_package_registers_a_strategy_of_its_own(monkeypatch) -> None:
    import importlib.metadata

    point = importlib.metadata.EntryPoint("mine", f"{__name__}:Mine", "routellm.strategies")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[Mine.__module__])
    assert isinstance(load_strategy("mine"), Mine)


class Mine(Strategy):
    """Always ask the strong model."""

    name = "mine"
    needs_win_rate = False

    def first(self, policy, turn, win_rate, overrides):
        return policy.expert("strong", self.name, order=("strong",), cheapest="weak")
