"""What every strategy promises, by each of the four ways in which an answer is asked for."""

import asyncio
import time
from dataclasses import replace

import pytest

from routellm_core import Capabilities, ConfigurationError, Monitor, RetrySettings
from routellm_core.answers import Score, Verifier, check, no_refusal
from routellm_core.errors import BudgetExceededError, EmptyAnswerError
from routellm_core.experts import ExpertTable
from routellm_core.monitoring import Price
from routellm_core.plan import Ask, Attempts, BreakerSettings, Budget
from routellm_core.strategies import BestOf, Cascade, Hybrid, Predict
from tests.plan.toy import WAYS, Toy

LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
SHORT, FINE, BEST = "Because.", "Because it is so, always.", "The best of all answers by far."
SECRET = "SECRET draft"


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


class Down(Exception):  # noqa: N818 - what a provider's error is called
    status_code = 503


def test_a_good_draft_is_the_answer_and_nobody_else_is_asked(way) -> None:
    toy = Toy({"weak": FINE, "strong": BEST}, Cascade(LONG, accept=0.8))
    assert toy.run(way) == FINE
    assert toy.asked == ["weak"]
    assert (toy.decision.route, toy.decision.reason) == ("weak", "accepted:long")
    assert toy.outcomes == [("weak", "accepted")]


def test_a_rejected_draft_is_followed_by_the_next_expert_and_never_shown(way) -> None:
    toy = Toy({"weak": SECRET, "strong": FINE}, Cascade(LONG, accept=0.9))
    assert toy.run(way) == FINE
    assert toy.asked == ["weak", "strong"]
    assert (toy.decision.route, toy.decision.reason) == ("strong", "rejected:long")
    assert toy.outcomes == [("weak", "rejected"), ("strong", "answered")]
    assert "SECRET" not in "".join(toy.shown)


def test_three_experts_are_asked_in_the_order_of_the_table(way) -> None:
    toy = Toy({"small": "No.", "middle": FINE, "large": BEST}, Cascade(LONG, accept=0.9))
    assert toy.run(way) == FINE
    assert toy.asked == ["small", "middle"]
    assert toy.decision.model == "model-middle"


def test_the_last_experts_answer_is_not_scored(way) -> None:
    toy = Toy({"weak": "No.", "strong": "No."}, Cascade(LONG, accept=0.9))
    assert toy.run(way) == "No."
    assert toy.outcomes == [("weak", "rejected"), ("strong", "answered")]


def test_level_0_asks_the_weak_model_once_and_a_level_above_1_always_both(way) -> None:
    never, always = (
        Toy({"weak": "No.", "strong": FINE}, Cascade(LONG, accept=level)) for level in (0.0, 1.1)
    )
    assert (never.run(way), never.asked) == ("No.", ["weak"])
    assert (always.run(way), always.asked) == (FINE, ["weak", "strong"])


def test_an_expert_that_fails_is_a_rejected_step(way) -> None:
    toy = Toy({"weak": Down(), "strong": FINE}, Cascade(LONG, accept=0.9))
    assert toy.run(way) == FINE
    assert toy.decision.reason == "escalation:Down"
    assert toy.outcomes == [("weak", "failed:Down"), ("strong", "answered")]


def test_the_best_draft_is_the_answer_where_the_last_expert_fails(way) -> None:
    toy = Toy({"a": "No.", "b": SHORT, "c": Down()}, Cascade(LONG, accept=0.9))
    assert toy.run(way) == SHORT
    assert (toy.decision.route, toy.decision.reason) == ("b", "best_draft:Down")
    assert toy.outcomes == [("a", "rejected"), ("b", "accepted"), ("c", "failed:Down")]


def test_a_wrong_setting_of_the_last_expert_is_raised_and_hidden_by_no_draft(way) -> None:
    toy = Toy({"weak": "No.", "strong": ConfigurationError("No key.")}, Cascade(LONG, accept=0.9))
    with pytest.raises(ConfigurationError, match="No key"):
        toy.run(way)


@pytest.mark.parametrize(("then", "answer"), [("next", FINE), ("accept", SHORT)])
def test_a_verifier_that_fails_decides_as_it_is_set(way, then, answer) -> None:
    broken = check(lambda prompt, answer: 1 / 0, name="broken")
    toy = Toy({"weak": SHORT, "strong": FINE}, Cascade(broken, accept=0.9, on_verifier_error=then))
    assert toy.run(way) == answer
    assert toy.decision.reason.startswith("verifier_error:")


def test_a_budget_that_the_next_step_would_pass_gives_out_the_best_draft(way) -> None:
    prices = {f"model-{name}": Price(name, 0.0, 1.0) for name in ("weak", "strong")}
    budget = Budget(1.5, prices=prices, answer_tokens=1)
    toy = Toy(
        {"weak": SHORT, "strong": FINE},
        Cascade(LONG, accept=0.9),
        options={"budget": budget},
    )
    assert toy.run(way) == SHORT
    assert (toy.asked, toy.decision.reason) == (["weak"], "budget")
    with pytest.raises(BudgetExceededError):
        Toy({"weak": SHORT}, options={"budget": Budget(0.5, over="refuse", prices=prices)}).run(way)


def test_a_deadline_gives_out_the_best_draft() -> None:
    for way in ("adrive", "astream"):
        toy = Toy(
            {"weak": SHORT, "strong": FINE},
            Cascade(LONG, accept=0.9),
            delays={"strong": 5.0},
            options={"retry": RetrySettings(deadline_s=0.2)},
        )
        started = time.monotonic()
        assert toy.run(way) == SHORT
        assert time.monotonic() - started < 2.0
        assert toy.decision.reason == "deadline"


def test_the_record_holds_every_step_and_savings_are_net_of_drafts(way) -> None:
    records = []
    prices = {"model-weak": Price("w", 0.0, 1.0), "model-strong": Price("s", 0.0, 10.0)}
    monitor = Monitor(records.append, prices=prices)
    toy = Toy(
        {"weak": "1234", "strong": "12345678"},
        Cascade(LONG, accept=0.9),
        options={"monitor": monitor},
    )
    toy.run(way)
    monitor.flush()
    (record,) = records
    assert [(s["expert"], s["outcome"]) for s in record.steps] == [
        ("weak", "rejected"), ("strong", "answered"),
    ]  # fmt: skip
    assert record.steps[0]["score"] == pytest.approx(0.2 if way.endswith("drive") else 0.25)
    assert record.drafts_usd == pytest.approx(4.0 if way.endswith("drive") else 5.0)
    assert record.attempts == 2
    if way.endswith("drive"):
        assert record.cost_usd == pytest.approx(80.0)
        assert record.saved_usd == pytest.approx(-4.0)


def test_a_hybrid_verifies_only_what_the_router_is_not_sure_of(way) -> None:
    def asked(win_rate: float) -> tuple[list[str], str]:
        strategy = Hybrid(LONG, accept=0.9, band=(0.3, 0.7))
        toy = Toy({"weak": "No.", "strong": FINE}, strategy, win_rate=win_rate)
        toy.run(way)
        return toy.asked, toy.decision.reason

    assert asked(0.1) == (["weak"], "win_rate")
    assert asked(0.5) == (["weak", "strong"], "rejected:long")
    assert asked(0.7) == (["strong"], "win_rate")


def test_predict_is_todays_threshold(way) -> None:
    for win_rate in (0.1, 0.5, 0.9):
        toy = Toy({"weak": SHORT, "strong": FINE}, Predict(), win_rate=win_rate)
        plain = Toy({"weak": SHORT, "strong": FINE}, win_rate=win_rate)
        assert toy.run(way) == plain.run(way)
        assert toy.decision == plain.decision


def test_the_best_of_several_answers_is_given_out_and_the_others_are_not(way) -> None:
    toy = Toy({"a": SECRET, "b": BEST, "c": SHORT}, BestOf(choose=LONG))
    assert toy.run(way) == BEST
    assert sorted(toy.asked) == ["a", "b", "c"]
    assert (toy.decision.route, toy.decision.reason) == ("b", "best_of")
    assert toy.outcomes == [("a", "rejected"), ("b", "accepted"), ("c", "rejected")]
    assert "SECRET" not in "".join(toy.shown)


def test_equal_scores_go_to_the_cheaper_expert(way) -> None:
    toy = Toy({"a": FINE, "b": BEST}, BestOf(choose=LONG))
    assert toy.run(way) == FINE


def test_samples_of_one_expert_are_put_to_the_vote(way) -> None:
    toy = Toy(
        {"weak": ["The answer is 4.", "The answer is 5.", "So the answer is 4."]},
        BestOf(3, choose="vote"),
    )
    assert toy.run(way).rstrip(".")[-1] == "4"
    assert toy.asked == ["weak"] * 3


def test_an_expert_that_fails_is_left_out_of_the_choice(way) -> None:
    toy = Toy({"a": Down(), "b": FINE, "c": SHORT}, BestOf(choose=LONG))
    assert toy.run(way) == FINE
    all_down = Toy({"a": Down(), "b": Down()}, BestOf(choose=LONG))
    with pytest.raises(Down):
        all_down.run(way)


def test_a_latency_limit_answers_with_what_has_come(way) -> None:
    toy = Toy({"a": SHORT, "b": BEST}, BestOf(choose=LONG, limit_s=0.2), delays={"b": 0.8})
    assert toy.run(way) == SHORT


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_can_no_longer_be_accepted_is_closed_early(way) -> None:
    read: list[str] = []

    class Counting(Toy):
        def say(self, name):
            said = super().say(name)
            return Words(said, read) if name == "weak" else said

    words = "I'm sorry, but I can't help with that. " + "Let me explain why at length. " * 50
    toy = Counting({"weak": words, "strong": FINE}, Cascade(no_refusal(), accept=0.5))
    assert toy.run(way) == FINE
    assert toy.outcomes[0] == ("weak", "rejected")
    assert len(read) < 40
    assert toy.closed[0] == "weak"


class Words(str):
    """A text that notes which of its words are read."""

    def __new__(cls, text, read):
        made = super().__new__(cls, text)
        made.read = read
        return made

    def split(self, *args):
        for word in super().split(*args):
            self.read.append(word)
            yield word


def test_a_cancelled_caller_closes_every_stream() -> None:
    async def leave(strategy, models) -> list[str]:
        toy = Toy(models, strategy, delays=dict.fromkeys(models, 5.0))
        task = asyncio.ensure_future(toy._read(toy.begin()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return toy.closed

    models = {"a": SHORT, "b": FINE}
    assert asyncio.run(leave(Cascade(LONG, accept=0.9), models)) == ["a"]
    assert sorted(asyncio.run(leave(BestOf(choose=LONG), models))) == ["a", "b"]


def test_a_turn_that_has_begun_stays_with_its_expert(way) -> None:
    toy = Toy({"weak": "No.", "strong": FINE}, Cascade(LONG, accept=0.9))
    record = {"route": "weak", "win_rate": None, "threshold": None}
    assert toy.run(way, record=record) == "No."
    assert toy.decision.reason == "sticky"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cascade(len, accept=0.5), "`verifier` must be"),
        (lambda: Cascade(LONG, accept="much"), "`accept`"),
        (lambda: Cascade(LONG, accept=0.5, on_verifier_error="stop"), "'accept' or 'next'"),
        (lambda: Hybrid(LONG, accept=0.5, band=(0.7, 0.3)), "`band` must be"),
        (lambda: BestOf(1, choose=LONG), "at least 2"),
        (lambda: BestOf(2, choose="consensus"), "at least 3"),
        (lambda: BestOf(choose=LONG, limit_s=0.0), "`limit_s` must be"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(make, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_a_cascade_asks_only_experts_that_can_take_the_call(way) -> None:
    toy = Toy({"a": "No.", "b": SHORT, "c": FINE}, Cascade(LONG, accept=0.9))
    blind = Capabilities(modalities=frozenset())
    experts = ExpertTable(replace(e, capabilities=blind) if e.name == "a" else e for e in toy.table)
    toy.decider.policy = replace(toy.decider.policy, experts=experts)
    assert toy.run(way, modalities=frozenset({"image"})) == FINE
    assert toy.asked == ["b", "c"]


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_the_first_content_of_the_best_answer_is_noted(way) -> None:
    records = []
    monitor = Monitor(records.append)
    toy = Toy({"a": SHORT, "b": FINE}, BestOf(choose=LONG), options={"monitor": monitor})
    toy.run(way)
    monitor.flush()
    assert records[0].first_chunk_ms is not None


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_filtered_answer_in_one_chunk_is_refused_where_that_is_set(way) -> None:
    toy = Toy({"weak": "Filtered", "strong": FINE}, reasons={"Filtered ": "content_filter"})
    assert toy.run(way) == "Filtered"
    toy.escalate_filtered = True
    toy.shown.clear()
    assert toy.run(way) == FINE


def test_every_expert_has_a_breaker() -> None:
    options = {"breaker": BreakerSettings(failures=1), "routes": ["a", "b", "c"]}
    toy = Toy({"a": Down(), "b": FINE, "c": BEST}, Cascade(LONG, accept=0.5), options=options)
    for _ in range(2):
        assert toy.run("drive") == FINE
    assert toy.asked == ["a", "b", "b"]


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_draft_that_was_cut_short_is_never_the_answer(way) -> None:
    words = "I'm sorry, but I can't help with that. Let me explain why at length."
    toy = Toy({"weak": words, "strong": Down()}, Cascade(no_refusal(), accept=0.5))
    with pytest.raises(Down):
        toy.run(way)
    options = {"breaker": BreakerSettings(failures=1), "routes": ["weak", "strong"]}
    toy = Toy({"weak": words, "strong": Down()}, Cascade(no_refusal(), accept=0.5), options=options)
    for error in (Down, EmptyAnswerError):  # the second time, the strong model is not asked
        with pytest.raises(error):
            toy.run(way)
    assert "sorry" not in "".join(toy.shown)


class LastStepScored(Cascade):
    """A cascade that has its last expert's answer scored, too."""

    def steps(self, decision, experts):
        for name in experts:
            yield Ask(name, self.verifier, 0.9)


def test_an_answer_that_was_rejected_is_not_called_accepted(way) -> None:
    toy = Toy({"weak": "No.", "strong": SHORT}, LastStepScored(LONG, accept=0.9))
    assert toy.run(way) == SHORT
    assert (toy.decision.route, toy.decision.reason) == ("strong", "best_draft")


class Watching(Verifier):
    """Score by length, and fail at watching."""

    name = "watching"

    def watch(self, prompt, *, accept):
        return self

    def feed(self, text="", tokens=()):
        raise RuntimeError("cannot watch")

    def _score(self, prompt, answer):
        return Score(min(1.0, len(answer.text) / 20), "by length")


def test_a_verifier_that_fails_at_watching_scores_the_whole_answer(way) -> None:
    toy = Toy({"weak": FINE, "strong": BEST}, Cascade(Watching(), accept=0.8))
    assert toy.run(way) == FINE
    assert toy.outcomes == [("weak", "accepted")]


def test_drafts_are_paid_for_although_no_answer_followed(way) -> None:
    prices = {f"model-{name}": Price(name, 0.0, 1.0) for name in ("weak", "strong")}
    budget = Budget(1e6, prices=prices, answer_tokens=1)
    toy = Toy(
        {"weak": "No.", "strong": ConfigurationError("No key.")},
        Cascade(LONG, accept=0.9),
        options={"budget": budget},
    )
    with pytest.raises(ConfigurationError):
        toy.run(way)
    assert budget.spent_usd == pytest.approx(3.0 if way.endswith("drive") else 4.0)


@pytest.mark.parametrize("way", ["adrive", "astream"])
def test_a_timer_that_fires_early_ends_the_call_at_its_deadline(way, monkeypatch) -> None:
    """As those of uvloop do."""
    real = time.monotonic
    began = real()
    monkeypatch.setattr(
        Attempts.__init__, "__kwdefaults__",
        {**Attempts.__init__.__kwdefaults__, "clock": lambda: began + (real() - began) * 0.97},
    )  # fmt: skip
    toy = Toy(
        {"a": SHORT, "b": FINE, "c": BEST},
        Cascade(LONG, accept=1.1),
        delays={"b": 5.0, "c": 5.0},
        options={"retry": RetrySettings(deadline_s=0.4)},
    )
    assert toy.run(way) == SHORT
    assert toy.decision.reason == "deadline"
    assert toy.asked == ["a"]
    assert [step.expert for step in toy.call.attempts.steps] == ["a", "b"]
