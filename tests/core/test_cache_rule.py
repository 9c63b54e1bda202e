"""What is cached of a conversation, and how it moves the threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core import (
    Calibration,
    ConfigurationError,
    Decider,
    Overrides,
    Price,
    Turn,
    Usage,
    make_decider,
    read_turn,
)
from routellm_core.answers import no_refusal
from routellm_core.experts import Expert, ExpertTable
from routellm_core.policy import (
    CacheRule,
    CacheSettings,
    History,
    HistoryReader,
    PastAnswer,
    PrefixMemory,
)
from routellm_core.policy.caching import CachedCall
from routellm_core.policy.prefixes import Held
from routellm_core.strategies import Hybrid, Predict
from routellm_core.testing import ScriptedRouter

# US dollars per million tokens: 5 and 25, 1 and 5; cached tokens at 0.1 and 1.25 of the input.
PRICES = {
    "large": Price("large", 5e-6, 25e-6, cache_read_usd=0.5e-6, cache_write_usd=6.25e-6),
    "small": Price("small", 1e-6, 5e-6, cache_read_usd=0.1e-6, cache_write_usd=1.25e-6),
}
PAIR = ExpertTable.of_pair(strong_model="large", weak_model="small")
SETTINGS = CacheSettings(prices=PRICES)
NOW = 1_000_000.0


def rule(
    *, settings: CacheSettings = SETTINGS, experts: ExpertTable = PAIR, router: Any = None
) -> CacheRule:
    return CacheRule(settings, experts, router or ScriptedRouter({}), clock=lambda: NOW)


def history(
    *, weak: float = 0.0, strong: float = 0.0, n: float = 20_000.0, calls: float = 1.0
) -> History:
    held = {"weak": Held(weak * n, False), "strong": Held(strong * n, False)}
    return History({k: v for k, v in held.items() if v.tokens}, n, calls)


# The rule


def test_a_warm_weak_model_raises_the_threshold_by_what_the_switch_costs() -> None:
    """Over 2 calls: the gap 0.0288, and half of 0.09775 to fill the strong model's cache."""
    moved, note = rule().moved(0.3, history(weak=0.85))
    assert moved == pytest.approx(0.3 * (0.0288 + 0.09775 / 2) / 0.0288)
    assert note is not None
    assert (note.model, note.share, note.is_estimated) == ("small", 0.85, False)
    assert note.shift == pytest.approx(moved - 0.3, abs=1e-6)


def test_a_warm_strong_model_lowers_it() -> None:
    """Over 2 calls: the gap 0.0288, less half of 0.01955 to fill the weak model's cache."""
    moved, note = rule().moved(0.3, history(strong=0.85))
    assert moved == pytest.approx(0.3 * (0.0288 - 0.01955 / 2) / 0.0288)
    assert note is not None
    assert note.model == "large"


def test_the_longer_a_choice_holds_the_less_it_costs_to_switch() -> None:
    few, _ = rule().moved(0.3, history(weak=0.85))
    many, _ = rule().moved(0.3, history(weak=0.85, calls=10.0))
    assert 0.3 < many < few


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_where_both_have_the_same_cached_the_threshold_stays(share: float) -> None:
    moved, _ = rule().moved(0.3, history(weak=share, strong=share))
    assert moved == 0.3


def test_no_more_than_the_whole_prompt_is_cached_and_nothing_of_an_empty_one() -> None:
    whole, more = (rule().moved(0.3, history(weak=share)) for share in (1.0, 4.5))
    assert whole == more
    assert whole[1] is not None
    assert whole[1].share == 1.0
    assert rule().moved(0.3, History({"weak": Held(5.0, False)}, 0.0, 1.0)) == (0.3, None)


def test_a_model_that_is_no_dearer_moves_nothing() -> None:
    same = CacheSettings(prices={**PRICES, "large": PRICES["small"]})
    assert rule(settings=same).moved(0.3, history(weak=0.9)) == (0.3, None)


class Calibrated(ScriptedRouter):
    """A router with a calibration of one's own, or none."""

    def __init__(self, calibration: Calibration | None = None) -> None:
        super().__init__()
        self._calibration = calibration

    @property
    def calibration(self) -> Any:
        return self._calibration


def calibrated(probability: Any = None) -> ScriptedRouter:
    # Like the bundled router's: win rates that mean only their order.
    quantiles = np.linspace(0.5, 0.75, 101)
    return Calibrated(Calibration(quantiles, 1000, source="test", probability=probability))


def test_a_calibrated_router_moves_in_its_share_of_prompts() -> None:
    """A win rate of 0.6 has 40 % of the prompts below it; at half the price it is 20 %."""
    scale = rule(router=calibrated())._scaled
    assert scale(0.6, 0.5) == pytest.approx(0.55)
    assert scale(0.6, 2.0) == pytest.approx(0.7)
    assert scale(0.6, 9.0) == pytest.approx(0.75)  # the dearest prompt still goes there
    assert (scale(0.5, 0.5), scale(0.4, 2.0), scale(0.9, 0.5)) == (0.5, 0.4, 0.9)


def test_a_router_without_a_calibration_moves_in_its_win_rate() -> None:
    scale = rule(router=Calibrated())._scaled
    assert (scale(0.4, 0.5), scale(0.4, 9.0), scale(0.4, -1.0)) == (0.2, 1.0, 0.0)
    assert (scale(1.0, 0.5), scale(0.0, 2.0)) == (1.0, 0.0)


def test_a_map_to_observed_win_rates_moves_by_the_equation() -> None:
    """w = (1 + lambda dc) / 2 on observed win rates: 0.5 at 0.5 and 0.8 at 0.75."""
    probability = np.array([[0.5, 0.5], [0.75, 0.8]])
    scale = rule(router=calibrated(probability))._scaled
    found = scale(0.6, 1.5)
    assert np.interp(found, *probability.T) == pytest.approx(0.5 + 0.12 * 1.5)
    assert scale(0.6, 99.0) == 1.0
    assert scale(0.6, -1.0) == 0.5


@given(
    threshold=st.floats(0.0, 1.0), weak=st.floats(0.0, 1.0), strong=st.floats(0.0, 1.0),
    calls=st.floats(1.0, 50.0), with_scale=st.booleans(),
)  # fmt: skip
def test_a_moved_threshold_is_one(
    threshold: float, weak: float, strong: float, calls: float, *, with_scale: bool
) -> None:
    found, _ = rule(router=calibrated() if with_scale else None).moved(
        threshold, history(weak=weak, strong=strong, calls=calls)
    )
    assert 0.0 <= found <= 1.0
    tolerance = 1e-9
    assert found <= threshold + tolerance if strong >= weak else found >= threshold - tolerance


def test_three_experts_cost_what_the_equations_say() -> None:
    experts = ExpertTable([Expert("a", "small"), Expert("b", "large"), Expert("c", "large")])
    before = History({"a": Held(17_000, False)}, 20_000, 1.0)
    costs, note = rule(experts=experts).costs(before, price=PRICES.get, answer_tokens={"c": 0.0})
    call = CachedCall(20_000, 0.85, 500)
    large = call.warm_usd(PRICES["large"]) + call.one_off_usd(PRICES["large"]) / 2
    assert costs == pytest.approx([0.0072, large, large - 0.0125])
    assert note is not None
    assert (note.model, note.share, note.shift) == ("small", 0.85, None)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_always_and_never_stay_with_a_map_to_observed_win_rates(threshold: float) -> None:
    router = calibrated(np.array([[0.0, 0.55], [0.5, 0.7], [1.0, 0.9]]))
    for warm in (history(weak=0.9), history(strong=0.9)):
        assert rule(router=router).moved(threshold, warm)[0] == threshold


@pytest.mark.parametrize(
    "prices",
    [
        {},
        {"large": PRICES["large"]},
        {name: Price(name, 1e-6 * n, 5e-6) for n, name in enumerate(PRICES, 1)},
    ],
    ids=["none", "one", "none for cached tokens"],
)
def test_without_prices_nobody_counts(prices: dict[str, Price]) -> None:
    counting = rule(settings=CacheSettings(prices=prices))
    assert counting.cached_experts == frozenset()
    assert HistoryReader(counting, lambda *_: pytest.fail("read")).read(*talk()) is None


def test_prices_come_from_the_table() -> None:
    experts = ExpertTable.of_pair(strong_model="claude-sonnet-4-5", weak_model="claude-haiku-4-5")
    assert rule(settings=CacheSettings(), experts=experts).cached_experts == {"weak", "strong"}
    experts = ExpertTable.of_pair(strong_model="gpt-4", weak_model="claude-haiku-4-5")
    assert rule(settings=CacheSettings(), experts=experts).cached_experts == {"weak"}


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_settings_that_cannot_be_used_are_refused(bad: float) -> None:
    with pytest.raises(ConfigurationError, match="`ttl_s` must be above 0"):
        CacheSettings(ttl_s=bad)
    with pytest.raises(ConfigurationError, match="`n_turns` must be above 0"):
        CacheSettings(n_turns=bad)
    if bad:
        with pytest.raises(ConfigurationError, match="`answer_tokens` must be at least 0"):
            CacheSettings(answer_tokens=bad)


def test_cache_aware_is_a_bool_or_settings() -> None:
    with pytest.raises(ConfigurationError, match="`cache_aware` must be True, False or"):
        make_decider(router=ScriptedRouter({}), cache_aware="yes")  # type: ignore[arg-type]


# What is cached

SAID = ["Be brief. " * 2000, "Hi", "Hello!", "And now?"]
ROLES = ["system", "user", "assistant", "user"]


def talk(roles: Sequence[str] = ROLES, texts: Sequence[str] = SAID) -> Any:
    return list(texts), list(roles), list(texts)


def past(
    usage: Usage | None, *, at: float = NOW, expert: str = "weak", model: str = "small"
) -> Any:
    return PastAnswer(expert, model, at, usage)


def read(*answers: PastAnswer | None, roles: Sequence[str] = ROLES, **settings: Any) -> Any:
    places = [place for place, role in enumerate(roles) if role == "assistant"]
    found = dict(zip(places, answers, strict=True))
    texts = [SAID[0], *(f"{place} words" for place in range(1, len(roles)))]
    counting = rule(settings=CacheSettings(prices=PRICES, **settings))
    return HistoryReader(counting, lambda _, __, place: found[place]).read(*talk(roles, texts))


def test_the_last_calls_reads_and_writes_are_cached() -> None:
    usage = Usage(6000, 100, cached_tokens=4000, cache_write_tokens=1500)
    found = read(past(usage))
    assert found.held == {"weak": Held(5500, False)}
    assert found.prompt_tokens == pytest.approx(6100 + len("3 words") / 4)


def test_a_call_that_only_wrote_has_left_its_prefix() -> None:
    found = read(past(Usage(6000, 100, cached_tokens=0, cache_write_tokens=5000)))
    assert found.held == {"weak": Held(5000, False)}


@pytest.mark.parametrize("counts", [{"cached_tokens": 0}, {"cache_write_tokens": 0}])
def test_a_count_of_zero_is_evidence_of_a_cold_cache(counts: dict[str, int]) -> None:
    assert read(past(Usage(6000, 100, **counts))) is None


def test_without_counts_the_shared_beginning_is_an_estimate() -> None:
    assert read(past(Usage(6000, 100))).held == {"weak": Held(6000, True)}
    unknown = read(past(None))
    [held] = unknown.held.values()
    assert held == Held((len(SAID[0]) + len("1 words")) / 4, True)
    assert unknown.prompt_tokens == pytest.approx(held.tokens + 2 * len("1 words") / 4)
    assert read(past(Usage(1000, 100))) is None  # too short for a cache


@pytest.mark.parametrize(("age_s", "is_warm"), [(0, True), (300, True), (301, False)])
def test_a_cache_expires(age_s: float, *, is_warm: bool) -> None:
    usage = Usage(6000, 100, cached_tokens=5000)
    assert (read(past(usage, at=NOW - age_s)) is not None) == is_warm
    assert read(past(usage, at=NOW - age_s), ttl_s=1000.0) is not None


def test_a_model_that_is_another_one_by_now_has_nothing() -> None:
    usage = Usage(6000, 100, cached_tokens=5000)
    assert read(past(usage, model="older")) is None
    assert read(past(usage, expert="unknown")) is None
    assert read(None) is None


def test_each_models_latest_answer_counts() -> None:
    """A model that is returned to has the prefix of its own last call."""
    roles = ["system", "user", "assistant", "user", "assistant", "user", "assistant", "user"]
    first = past(Usage(5000, 10, cached_tokens=1000), expert="strong", model="large")
    second = past(Usage(6000, 10, cached_tokens=0, cache_write_tokens=5900))
    third = past(Usage(7000, 10, cached_tokens=6500))
    found = read(first, second, third, roles=roles)
    assert found.held == {"weak": Held(6500, False), "strong": Held(1000, False)}
    assert found.calls_per_turn == 1.0


def test_calls_are_counted_by_turn() -> None:
    roles = ["system", "user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    answers = [past(Usage(6000, 10, cached_tokens=5000))] * 3
    assert read(*answers, roles=roles).calls_per_turn == 3.0


def test_prompts_are_remembered_by_their_ends_and_length() -> None:
    memory = PrefixMemory(size=2)
    answer = past(None)
    memory.note(SAID[:2], answer)
    assert memory.answer([], SAID, 2) == answer
    for texts in (["Other", *SAID[1:]], [SAID[0], "Ho", *SAID[2:]]):
        assert memory.answer([], texts, 2) is None
    memory.note(["a"], answer)
    memory.note(["b"], answer)
    assert memory.answer([], SAID, 2) is None
    memory.note([], answer)
    assert memory.answer([], SAID, 0) is None


# Decisions


@dataclass
class Said:
    """A message of a framework."""

    speaker: str
    words: str
    past: PastAnswer | None = None
    record: Any = None


class View:
    def role(self, message: Said) -> Any:
        return message.speaker

    def text(self, message: Said) -> str:
        return message.words

    def modalities(self, message: Said) -> frozenset[Any]:
        return frozenset()

    def record(self, message: Said) -> Any:
        return message.record


def decider(cache_aware: Any = SETTINGS, **options: Any) -> Decider:
    options = {"threshold": 0.5, "strong_model": "large", "weak_model": "small", **options}
    return make_decider(
        router=ScriptedRouter({"Hard": 0.8}, default=0.45), cache_aware=cache_aware, **options
    )


def asked(made: Decider, messages: Sequence[Said]) -> Turn:
    caching = made.policy.caching
    reader = None
    if caching is not None:
        reader = HistoryReader(caching, lambda messages, _, place: messages[place].past)
        caching.clock = lambda: NOW
    return read_turn(messages, View(), history=reader)


def chat(answer: PastAnswer | None, question: str) -> list[Said]:
    system = Said("system", "Be brief. " * 2000)
    return [system, Said("user", "Hi"), Said("assistant", "Yes?", answer), Said("user", question)]


WARM = Usage(20_000, 10, cached_tokens=19_000)


def test_a_hard_question_in_a_long_cheap_conversation_may_stay() -> None:
    made = decider()
    decision = made.decide(asked(made, chat(past(WARM), "Hard")))
    assert (decision.route, decision.reason) == ("weak", "win_rate")
    assert decision.threshold == 1.0
    assert decision.record()["cache"] == {
        "model": "small", "share": 0.9495, "shift": 0.5, "estimated": False,
    }  # fmt: skip
    assert decision.metadata()["routellm_cache_share"] == 0.9495


def test_an_easy_question_in_a_warm_strong_conversation_may_stay() -> None:
    made = decider()
    warm = past(WARM, expert="strong", model="large")
    decision = made.decide(asked(made, chat(warm, "Easy")))
    assert (decision.route, decision.win_rate) == ("strong", 0.45)
    assert decision.threshold is not None
    assert decision.threshold < 0.45


@pytest.mark.parametrize("question", ["Hard", "Easy"])
@pytest.mark.parametrize(
    "answer",
    [None, past(WARM, at=NOW - 301), past(Usage(20_000, 10, cached_tokens=0)),
     past(WARM, model="other")],
    ids=["unknown", "expired", "counted as 0", "of another model"],
)  # fmt: skip
def test_cold_caches_flip_no_call(answer: PastAnswer | None, question: str) -> None:
    aware, blind = decider(), decider(cache_aware=False)
    assert aware.decide(asked(aware, chat(answer, question))) == blind.decide(
        asked(blind, chat(answer, question))
    )


@pytest.mark.parametrize("question", ["Hard", "Easy"])
def test_a_call_without_a_history_is_decided_as_ever(question: str) -> None:
    aware, blind = decider(), decider(cache_aware=False)
    messages = chat(None, question)[-1:]
    assert aware.decide(asked(aware, messages)) == blind.decide(asked(blind, messages))
    assert "cache" not in aware.decide(asked(aware, messages)).record()


def test_a_calls_own_threshold_and_a_turn_that_has_begun_stay() -> None:
    made = decider()
    turn = asked(made, chat(past(WARM), "Hard"))
    decision = made.decide(turn, Overrides(threshold=0.7))
    assert (decision.route, decision.threshold, decision.cache) == ("strong", 0.7, None)
    begun = [*chat(past(WARM), "Hard"), Said("assistant", "", past(WARM), {"route": "strong"})]
    turn = asked(made, [*begun, Said("tool", "42")])
    assert turn.history is None
    assert made.decide(turn).reason == "sticky"


def test_a_band_of_win_rates_stays() -> None:
    strategy = Hybrid(no_refusal(), accept=0.5, band=(0.2, 0.7))
    made = decider(strategy=strategy)
    decision = made.decide(asked(made, chat(past(WARM), "Hard")))
    assert (decision.route, decision.threshold, decision.cache) == ("strong", 0.7, None)


@pytest.mark.parametrize("decide", ["decide", "decide_many"])
def test_batches_are_decided_alike(decide: str) -> None:
    made = decider()
    turn = asked(made, chat(past(WARM), "Hard"))
    found: Callable[..., Any] = getattr(made, decide)
    decision = found([turn], [Overrides()])[0] if decide == "decide_many" else found(turn)
    assert decision.threshold == 1.0


def test_quality_per_usd_counts_with_caches() -> None:
    """At 1.5 per dollar, 0.1 more quality is worth an answer's list price, and no switch."""

    class Rates(ScriptedRouter):
        def qualities(self, prompts: Any, models: Any = None) -> Any:
            return np.array([[0.5, 0.6] for _ in prompts]).reshape(len(prompts), 2)

    made = make_decider(
        router=Rates({}), strong_model="large", weak_model="small", cache_aware=SETTINGS,
        strategy=Predict(quality_per_usd=1.5, prices=PRICES),
    )  # fmt: skip
    cold = made.decide(asked(made, chat(None, "Why?")))
    warm = made.decide(asked(made, chat(past(WARM), "Why?")))
    assert (cold.route, warm.route) == ("strong", "weak")
    assert warm.cache is not None
    assert "shift" not in warm.record()["cache"]
