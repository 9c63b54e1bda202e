"""Verifiers that ask a model: agreement of several answers, and a judge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from routellm_core import ConfigurationError, VerifierError
from routellm_core.answers import (
    Answer,
    Prompt,
    Request,
    Token,
    all_of,
    bert_sim,
    consistency,
    final_answer,
    judge,
    load_verifier,
)
from routellm_core.embedders import load_embedder
from routellm_core.evaluation.metrics import auroc


class Model:
    """Gives prepared answers one after another, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def __call__(self, request: Request) -> Any:
        self.asked.append(request)
        return self.answers[len(self.asked) - 1]


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("42", "42"),
        ("So 6 * 7 = 42.\nThe answer is **42.0**.", "42"),
        (r"Thus $\boxed{1{,}000}$ or \boxed{1,000}", "1000"),
        ("5 apples and 3 pears.\n#### 1,250.50", "1250.5"),
        ("(B)", "b"),
        ("A is wrong.\nAnswer: C", "c"),
        ("Let me think.\n\nNew  York!", "new york"),
        ("-7", "-7"),
        ("Die Antwort lautet: 12", "12"),
        ("La réponse est 12.", "12"),
        ("La respuesta es: Madrid.", "madrid"),
        ("Ответ: 12", "12"),
        ("答案是：12", "12"),
        ("答えは 12", "12"),
        ("답: 12", "12"),
        ("الجواب هو 12", "12"),
        ("उत्तर: 12", "12"),
        ("word " * 30, None),
        ("", None),
    ],
)
def test_what_an_answer_comes_down_to(text: str, final: str | None) -> None:
    assert final_answer(text) == final


@pytest.mark.parametrize(
    ("by", "draft", "samples", "value"),
    [
        ("answer", "It is 4.\nAnswer: 4", ["4", "4.0", "Answer: 5", "the answer is 4"], 0.75),
        ("text", "New York!", ["new york", "New  York.", "York", "NY"], 0.5),
        ("number", "It costs $1,250.", ["1250", "about 1250.0", "12", "none"], 0.5),
        ("choice", "The answer is (B).", ["B", "Option B", "C", "Who knows?"], 0.5),
    ],
)
def test_the_share_of_answers_that_agree(
    by: Any, draft: str, samples: list[str], value: float
) -> None:
    model = Model(*samples)
    score = consistency(4, by=by, ask=model).score(Prompt("p"), draft)
    assert score.value == value
    assert [request.sample for request in model.asked] == [0, 1, 2, 3]
    assert {request.temperature for request in model.asked} == {0.7}
    assert model.asked[0].messages == ({"role": "user", "content": "p"},)
    assert model.asked[0].model is None  # the model that wrote the answer


def test_an_answer_in_the_minority_is_not_saved_by_a_majority() -> None:
    assert consistency(3, ask=Model("5", "5", "5")).score("p", "4").value == 0.0


def test_the_own_class_tells_right_drafts_from_wrong_ones_better_than_the_largest_class() -> None:
    rng = np.random.default_rng(0)
    own, largest, right = [], [], []
    for _ in range(1000):
        # A model that knows the answer, 0, that is unsure, or that is sure of a wrong answer, 1.
        known, unsure, mistaken = [0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1]
        chances = (known, unsure, mistaken)[int(rng.integers(3))]
        draft, *samples = rng.choice(3, size=6, p=chances).tolist()
        verifier = consistency(5, ask=Model(*map(str, samples)))
        own.append(verifier.score("p", str(draft)).value)
        largest.append(max(samples.count(answer) for answer in range(3)) / 5)
        right.append(draft == 0)
    assert auroc(own, right) > auroc(largest, right) + 0.05
    agree = [o == m for o, m in zip(own, largest, strict=True)]
    assert 0.5 < np.mean(agree) < 1.0


def test_nothing_is_drawn_where_nothing_could_agree() -> None:
    model = Model()
    assert consistency(3, by="number", ask=model).score("p", "None.").value == 0.0
    assert model.asked == []


def test_long_answers_agree_as_far_as_they_are_similar() -> None:
    essay = "The lake lies in the mountains, and its water is cold in every season of the year. "
    other = "Stock prices fell sharply on Monday after the central bank raised interest rates. "
    same = consistency(2, ask=Model(essay, essay)).score("p", essay)
    assert same.value == pytest.approx(1.0, abs=1e-6)
    mixed = consistency(2, ask=Model(essay, other)).score("p", essay)
    assert mixed.value < 0.7
    expected = (1.0 + max(0.0, bert_sim([essay], [other])[0])) / 2
    assert mixed.value == pytest.approx(expected, abs=1e-6)


def test_a_similarity_of_ones_own_is_used_and_looked_at() -> None:
    long = "word " * 30
    verifier = consistency(
        2, by="similarity", similarity=lambda a, b: [0.5, -0.5], ask=Model(long, long)
    )
    assert verifier.score("p", long).value == 0.25
    broken = consistency(2, similarity=lambda a, b: [0.5, float("nan")], ask=Model(long, long))
    with pytest.raises(VerifierError, match="must return 2 finite numbers"):
        broken.score("p", long)


async def test_answers_are_drawn_together_when_awaited() -> None:
    async def aask(request: Request) -> str:
        return "4" if request.sample else "5"

    assert (await consistency(4, ask=aask).ascore("p", "4")).value == 0.75
    both = all_of(consistency(4), judge())

    async def either(request: Request) -> str:
        return '{"score": 5}' if request.purpose == "verdict" else await aask(request)

    assert (await both.ascore("p", "4", ask=either)).value == 0.75


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 2.5}, {"by": "words"}, {"temperature": 3}])
def test_wrong_settings_of_consistency_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        consistency(**options)


def test_bert_sim_is_the_cosine_of_the_embeddings() -> None:
    left, right = ["Hello there!", "Prove it."], ["Hi!", "Prove it."]
    embedder = load_embedder("bundled")
    # Looks and kinds of requests are nearly alike for any two texts, and left out.
    vectors = embedder.embed([*left, *right])[:, embedder.parts["meaning"]].astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [units[0] @ units[2], units[1] @ units[3]]
    assert bert_sim(left, right) == pytest.approx(expected, abs=1e-6)
    assert bert_sim([], []).shape == (0,)
    with pytest.raises(ConfigurationError, match="of one length"):
        bert_sim(["a"], [])


class Zeros:
    def embed(self, texts: Any) -> Any:
        return np.zeros((len(texts), 3), dtype=np.float32)


def test_an_embedding_of_zeros_is_similar_to_nothing() -> None:
    assert bert_sim(["a"], ["b"], embedder=Zeros()).tolist() == [0.0]


def test_a_judge_reads_prompt_and_answer_and_its_number_is_the_score() -> None:
    model = Model('{"score": 4}')
    score = judge("the judge", ask=model).score(Prompt("What?", win_rate=0.9), "This.")
    assert (score.value, score.raw) == (0.75, 4.0)
    (request,) = model.asked
    said = request.messages[0]["content"]
    assert "<request>\nWhat?\n</request>" in said
    assert "<answer>\nThis.\n</answer>" in said
    assert "0.9" not in said
    assert (request.model, request.purpose, request.temperature) == ("the judge", "verdict", 0.0)
    assert request.top_logprobs == 5


@pytest.mark.parametrize(
    ("scale", "reply", "value"),
    [((1, 10), '{"score": 10}', 1.0), ((0, 100), "25", 0.25), ((1, 10), '{"score": 1}', 0.0)],
)
def test_a_scale_of_ones_own(scale: tuple[int, int], reply: str, value: float) -> None:
    model = Model(reply)
    verifier = judge(scale=scale, rubric="Say how funny it is.", ask=model)
    assert verifier.score("p", "a").value == value
    assert "Say how funny it is." in model.asked[0].messages[0]["content"]
    assert model.asked[0].top_logprobs is None


def verdict(*tokens: Token) -> Answer:
    return Answer("".join(token.text for token in tokens), tokens=tokens)


def p(value: float) -> float:
    return math.log(value)


def test_a_rating_is_the_mean_by_the_labels_probabilities() -> None:
    top = (("4", p(0.5)), (" 5", p(0.2)), ("5", p(0.1)), ("3", p(0.1)), ("good", p(0.1)))
    reply = verdict(Token('{"score": ', p(0.9)), Token("4", p(0.5), top), Token("}", p(0.9)))
    score = judge(ask=Model(reply)).score("p", "a")
    mean = (4 * 0.5 + 5 * 0.3 + 3 * 0.1) / 0.9
    assert score.raw == pytest.approx(mean)
    assert score.value == pytest.approx((mean - 1) / 4)


@pytest.mark.parametrize(
    "tokens",
    [
        (Token('{"score": 4}', p(0.9)),),  # not a token of its own
        (Token('{"score": ', p(0.9)), Token("4", p(0.5)), Token("}", p(0.9))),  # no alternatives
        (Token('{"score": ', p(0.9)), Token("4", p(0.5), (("x", p(0.9)),)), Token("}", p(0.9))),
    ],
)
def test_without_the_labels_probabilities_the_stated_number_counts(tokens: Any) -> None:
    assert judge(ask=Model(verdict(*tokens))).score("p", "a").raw == 4.0


def test_a_verdict_that_cannot_be_read_is_asked_for_once_more_and_then_is_an_error() -> None:
    model = Model("It is quite good.", "4")
    assert judge(ask=model).score("p", "a").value == 0.75
    assert [message["role"] for message in model.asked[1].messages] == ["user", "assistant", "user"]
    with pytest.raises(VerifierError, match="could not be read, twice"):
        judge(ask=Model("Good.", "Either 4 or 5.")).score("p", "a")


def test_a_judge_gets_no_secret_and_no_endless_text() -> None:
    model = Model("4")
    judge(ask=model, max_chars=100).score("My key: sk-abcdefghijklmnop", "x" * 100_000)
    said = model.asked[0].messages[0]["content"]
    assert "sk-abcdefghijklmnop" not in said
    assert len(said) < 2000


@pytest.mark.parametrize(
    "options", [{"scale": (5, 1)}, {"scale": (-1, 5)}, {"scale": (0.0, 1.0)}, {"max_tokens": 0}]
)
def test_wrong_settings_of_a_judge_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        judge(**options)


def test_both_are_made_by_name() -> None:
    assert load_verifier("consistency", 3).name == "consistency"
    assert load_verifier("judge", "m", scale=(0, 10)).name == "judge"
