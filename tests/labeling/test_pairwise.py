"""The pairwise judge, through LiteLLM on the loopback server."""

import asyncio

import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.labeling.answers import answers_plan
from routellm_core.labeling.asking import AskError, LiteLLMAsker
from routellm_core.labeling.calls import Call, Reply, user_message
from routellm_core.labeling.journal import Journal
from routellm_core.labeling.logged import LoggedPrompt
from routellm_core.labeling.pairwise import PairVerdict, pairwise_plan, read_better
from routellm_core.labeling.running import Runner
from routellm_core.labeling.spending import PriceList, Spending
from routellm_core.monitoring import Price
from routellm_core.testing import OpenAIServer, Step
from tests.litellm_clients import close_litellm_clients

JUDGE = "openai/judge"


def drive(plan, *answers):
    """Carry a plan out with given texts; return its result and the calls."""
    given, calls = iter(answers), []
    try:
        wanted = next(plan)
        while True:
            calls += wanted
            wanted = plan.send([Reply(next(given)) for _ in wanted])
    except StopIteration as end:
        return end.value, calls


@pytest.mark.parametrize(
    ("said", "score", "winner"),
    [
        (("A", "B"), 1.0, "model_a"),
        (("B", "A"), 0.0, "model_b"),
        (("tie", "tie"), 0.5, "tie"),
        (("A", "A"), 0.5, "tie"),  # the place decided
        (("A", "tie"), 0.75, "tie"),
    ],
)
def test_both_orders_decide(said, score: float, winner: str) -> None:
    plan = pairwise_plan("j", "2 + 2?", "four", "five")
    verdict, calls = drive(plan, *(f'{{"better": "{one}"}}' for one in said))
    assert (verdict.score_a, verdict.winner) == (score, winner)
    first, second = (call.messages[0]["content"] for call in calls)
    assert first.index("four") < first.index("five")
    assert second.index("five") < second.index("four")


def test_a_verdict_is_repaired_once_and_never_guessed() -> None:
    verdict, calls = drive(
        pairwise_plan("j", "p", "x", "y"), "A is fine, so is B", '{"better": "B"}', '{"better":"A"}'
    )
    assert verdict == PairVerdict(1.0, 1.0)
    assert len(calls) == 3
    verdict, calls = drive(
        pairwise_plan("j", "p", "x", "y"), "who knows", '{"better": "B"}', "still nobody"
    )
    assert verdict is None
    assert len(calls) == 3


def test_equal_answers_are_a_tie_for_nothing() -> None:
    verdict, calls = drive(pairwise_plan("j", "p", "same", " same\n"))
    assert verdict.score_a == 0.5
    assert calls == []


def test_the_judge_sees_no_names_and_no_keys() -> None:
    _, calls = drive(
        pairwise_plan("j", "my key is sk-abcdefghijklmnopqrst", "x", "y"),
        '{"better": "A"}', '{"better": "B"}',
    )  # fmt: skip
    said = calls[0].messages[0]["content"]
    assert "sk-abc" not in said
    assert "[redacted]" in said


ECHO = 'judge heard: one line of JSON: {"better": "A"}, {"better": "B"} or {"better": "tie"}.'


@pytest.mark.parametrize(
    "text",
    [
        '{"better": "C"}', '{"better": 1}', "", "AB", "{}", "A, B", ECHO,
        'At first {"better": "A"}, then {"better": "B"}.',
    ],
)  # fmt: skip
def test_a_text_without_a_verdict_is_none(text: str) -> None:
    assert read_better(text) is None


def test_a_verdict_that_is_repeated_is_one() -> None:
    assert read_better('{"better": "B"}, so:\n```json\n{"better":"B"}\n```') == 0.0


def label(path, server, prompts):
    async def run(journal):
        asker = LiteLLMAsker(base_url=server.base_url, api_key="none")
        prices = PriceList({JUDGE: Price("j", 1e-6, 1e-6), "openai/a": None, "openai/b": None})
        try:
            return await Runner(asker, journal, Spending(prices), wait_s=0.0).run(
                [battle(prompt) for prompt in prompts]
            )
        finally:
            await close_litellm_clients()

    with Journal(path) as journal:
        return asyncio.run(run(journal))


def battle(prompt):
    models = ["openai/a", "openai/b"]
    answers = yield from answers_plan(LoggedPrompt(prompt), models, max_tokens=20)
    a, b = (answers[model][0].text for model in models)
    return (yield from pairwise_plan(JUDGE, prompt, a, b))


@pytest.mark.loopback
def test_answers_and_verdicts_come_over_the_wire_and_are_asked_for_once(tmp_path) -> None:
    with OpenAIServer() as server:
        server.script(*[Step(text='{"better": "A"}')] * 6, model="judge")
        found = label(tmp_path / "j", server, ["one", "two", "three"])
        assert [verdict.score_a for verdict in found.results] == [0.5, 0.5, 0.5]
        assert sorted(server.models_asked()) == ["a"] * 3 + ["b"] * 3 + ["judge"] * 6
        request = server.requests[0]
        assert request.body["temperature"] == 0.0
        assert request.body["max_tokens"] == 20
        assert request.headers["idempotency-key"]
        server.reset()
        again = label(tmp_path / "j", server, ["one", "two", "three"])
        assert again.results == found.results
        assert server.requests == []


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("step", "fatal", "retry", "maybe_paid"),
    [
        (Step(status=401), True, False, False),
        (Step(status=404), True, False, False),
        (Step(status=400), False, False, False),
        (Step(status=429), False, True, False),
        (Step(status=500), False, True, True),
        (Step(reset=True), False, True, True),
    ],
)
async def test_a_failed_call_says_whether_to_ask_again(step, fatal, retry, maybe_paid) -> None:
    with OpenAIServer() as server:
        server.script(step)
        asker = LiteLLMAsker(base_url=server.base_url, api_key="none")
        with pytest.raises(AskError) as caught:
            await asker.ask(Call("openai/a", (user_message("x"),), 5))
        await close_litellm_clients()
    error = caught.value
    assert (error.fatal, error.retry, error.maybe_paid) == (fatal, retry, maybe_paid)


@pytest.mark.loopback
async def test_an_error_does_not_show_the_key_that_a_provider_repeats() -> None:
    said = '{"error": {"message": "Incorrect API key provided: sk-abcdefghijklmnopqrst."}}'
    with OpenAIServer() as server:
        server.script(Step(status=401, body=said))
        asker = LiteLLMAsker(base_url=server.base_url, api_key="none")
        with pytest.raises(AskError, match="Incorrect API key provided") as caught:
            await asker.ask(Call("openai/a", (user_message("x"),), 5))
        await close_litellm_clients()
    assert "sk-abc" not in str(caught.value)


@pytest.mark.parametrize("model", ["judge", "openia/judge"])
def test_a_model_of_no_provider_is_told_before_any_call(model: str) -> None:
    asker = LiteLLMAsker(base_url="http://127.0.0.1:1/v1", api_key="none")
    asker.check(["openai/judge", "gpt-4o"])
    with pytest.raises(ConfigurationError, match=f"no provider of '{model}'"):
        asker.check([model])


def test_a_missing_key_is_told_before_any_call(monkeypatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        LiteLLMAsker().check(["openai/gpt-4o"])
