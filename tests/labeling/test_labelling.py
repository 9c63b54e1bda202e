"""A job in each mode: from logged prompts to rows that training reads, and a report."""

import asyncio
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from routellm_core.data import read_battles, read_outcomes
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.calls import Call, Reply
from routellm_core.labeling.feedback import FeedbackReader
from routellm_core.labeling.human_sample import read_human_sample
from routellm_core.labeling.label_rows import BattleRow, OutcomeRow, write_rows
from routellm_core.labeling.labelling import (
    LabelJob,
    alabel,
    estimate_job,
    journal_path,
    label,
)
from routellm_core.labeling.logged import LoggedPrompt
from routellm_core.labeling.logs import read_logged_prompts
from routellm_core.labeling.settings import LabelSettings
from routellm_core.monitoring import Price
from routellm_core.training import read_data

STRONG, WEAK, JUDGE = "openai/big", "openai/small", "openai/judge"
PAIR = {"models": (STRONG, WEAK), "judge": JUDGE}
PRICES = {
    STRONG: Price(STRONG, 1e-5, 3e-5),
    WEAK: Price(WEAK, 1e-6, 3e-6),
    JUDGE: Price(JUDGE, 1e-6, 1e-6),
}


def is_hard(text: str) -> bool:
    return "hard" in text


class Models:
    """The big model is always right, the small one unless the prompt is hard; the judge sees it."""

    def __init__(self, judge=None) -> None:
        self.asked: list[str] = []
        self.judge = judge or (lambda first, second: first - second)

    async def ask(self, call: Call) -> Reply:
        self.asked.append(call.model)
        text = call.messages[-1]["content"]
        await asyncio.sleep(0)
        if call.purpose == "verdict":
            return Reply(self.verdict(text), 200, 8)
        right = call.model == STRONG or not is_hard(text)
        return Reply(f"{'right' if right else 'wrong'} of {call.model} {call.sample}", 10, 5)

    def verdict(self, text: str) -> str:
        if "ROUTE_TO" in text:
            return "ROUTE_TO_SUPERIOR" if is_hard(text.split("<request>")[1]) else (
                "ROUTE_TO_INFERIOR"
            )  # fmt: skip
        said = re.findall(r"<(?:answer\w*)>\n(right|wrong)", text)
        if len(said) == 1:
            return json.dumps({"score": 5 if said[0] == "right" else 2})
        gap = self.judge(*(one == "right" for one in said))
        return json.dumps({"better": "A" if gap > 0 else "B" if gap < 0 else "tie"})


def prompts(n: int = 40) -> list[LoggedPrompt]:
    return [
        LoggedPrompt(f"{'hard' if i % 4 == 0 else 'easy'} question {i}", reference="right")
        for i in range(n)
    ]


def job(folder, logged=None, *, out="labels.jsonl", **options) -> LabelJob:
    names = LabelSettings.__dataclass_fields__
    given = {name: options.pop(name) for name in list(options) if name in names}
    return LabelJob(
        prompts=prompts() if logged is None else logged,
        settings=LabelSettings(**{**PAIR, **given}),
        out=folder / out,
        prices=PRICES,
        **options,
    )


def rows(folder, out="labels.jsonl") -> list[dict]:
    return [json.loads(line) for line in (folder / out).read_text().splitlines()]


def test_pairwise_verdicts_become_battles(tmp_path) -> None:
    models = Models()
    report = label(job(tmp_path), asker=models)
    found = read_data(tmp_path / "labels.jsonl")
    assert found.prompts == tuple(one.prompt for one in prompts())
    assert found.score_a.tolist() == [1.0, 0.5, 0.5, 0.5] * 10
    assert (report.n_labelled, report.n_rows, report.n_calls) == (40, 40, 160)
    (shares,) = report.pairs
    assert (shares.model_a, shares.a, shares.tie, shares.b) == (STRONG, 0.25, 0.75, 0.0)
    assert (report.n_verdicts, report.n_inconsistent) == (40, 0)
    assert report.position_bias.value == 0.0
    assert report.spent_usd == pytest.approx(40 * (10 * 1.1e-5 + 5 * 3.3e-5) + 80 * (200e-6 + 8e-6))
    assert models.asked.count(JUDGE) == 80


def test_the_bias_of_a_judge_to_the_first_place_is_told(tmp_path) -> None:
    report = label(job(tmp_path), asker=Models(judge=lambda *_: 1))
    assert report.position_bias.value == 0.5
    assert report.n_inconsistent == report.n_verdicts == 40
    assert read_battles(tmp_path / "labels.jsonl").score_a.tolist() == [0.5] * 40


def test_scores_of_a_pair_become_battles_and_of_several_models_outcomes(tmp_path) -> None:
    label(job(tmp_path, mode="score"), asker=Models())
    assert read_battles(tmp_path / "labels.jsonl").score_a.tolist() == [1.0, 0.5, 0.5, 0.5] * 10
    assert rows(tmp_path)[0]["score"] == 2
    models = (STRONG, WEAK, "openai/third")
    prices = {**PRICES, "openai/third": Price("t", 0.0, 0.0)}
    settings = LabelSettings(mode="score", models=models, judge=JUDGE)
    out = tmp_path / "three.jsonl"
    report = label(LabelJob(prompts=prompts(), settings=settings, out=out, prices=prices),
                   asker=Models())  # fmt: skip
    found = read_outcomes(out)
    assert found.models == tuple(sorted(models))
    assert found.quality[0].tolist() == [1.0, 0.25, 0.25]
    assert found.cost[0].tolist() == pytest.approx([25e-5, 25e-6, 0.0])
    assert report.qualities == pytest.approx({models[0]: 1.0, WEAK: 0.8125, models[2]: 0.8125})
    assert report.n_with_all == 40


def test_known_answers_become_outcomes_without_a_judge(tmp_path) -> None:
    logged = [*prompts(), LoggedPrompt("nobody knows")]
    settings = {"mode": "reference", "comparison": "contains", "judge": None}
    report = label(job(tmp_path, logged, **settings), asker=Models())
    found = read_outcomes(tmp_path / "labels.jsonl")
    assert found.quality[:, found.models.index(WEAK)].tolist() == [0.0, 1.0, 1.0, 1.0] * 10
    assert report.problems == {"no reference": 1}
    assert (report.n_prompts, report.n_labelled, report.n_rows) == (41, 40, 80)


def test_routes_become_battles_with_their_label(tmp_path) -> None:
    models = Models()
    report = label(job(tmp_path, mode="route"), asker=models)
    assert models.asked == [JUDGE] * 40
    assert read_battles(tmp_path / "labels.jsonl").score_a.tolist() == [1.0, 0.5, 0.5, 0.5] * 10
    assert rows(tmp_path)[0]["label"] == "ROUTE_TO_SUPERIOR"
    assert report.n_calls == 40


def test_feedback_becomes_outcomes_for_nothing(tmp_path) -> None:
    log = [
        {"prompt": "p", "model": "big", "feedback": 1},
        {"prompt": "p", "model": "small", "feedback": 0},
        {"prompt": "p", "model": "small", "retried": True, "feedback": 1},
        {"prompt": "q", "model": "small", "feedback": "up"},
        {"prompt": "r", "model": "small"},
    ]
    logged = list(read_logged_prompts(log, feedback=FeedbackReader()).prompts)
    models = Models()
    feedback = job(tmp_path, logged, mode="feedback", models=(), judge=None)
    report = label(feedback, asker=models)
    assert models.asked == []
    assert rows(tmp_path) == [
        {"prompt": "p", "model": "big", "quality": 1.0, "weight": 1.0},
        {"prompt": "p", "model": "small", "quality": 0.4, "weight": 2.5},
        {"prompt": "q", "model": "small", "quality": 1.0, "weight": 1.0},
    ]
    assert report.problems == {"no feedback": 1}
    assert report.n_with_all == 1


def test_answers_that_the_log_holds_are_judged_as_they_are(tmp_path) -> None:
    logged = [LoggedPrompt("p", answers={"big": "right", "small": "wrong"})]
    models = Models()
    plan = estimate_job(job(tmp_path, logged))
    assert [(one.model, one.n_calls) for one in plan.models] == [(JUDGE, 2)]
    label(job(tmp_path, logged), asker=models)
    assert models.asked == [JUDGE, JUDGE]
    assert rows(tmp_path)[0]["winner"] == "model_a"
    # What is asked of nobody needs no price.
    unpriced = LabelJob(
        prompts=logged, settings=LabelSettings(**PAIR), out=tmp_path / "x", max_cost_usd=1.0,
        prices={JUDGE: PRICES[JUDGE]},
    )  # fmt: skip
    assert label(unpriced, asker=models).unknown_prices == ()


# The weak model's 1 loses to all three, its 4 to the 5 alone, its 5 to none: 4 of 9.
@pytest.mark.parametrize(("soft", "score_a"), [("prob", 4 / 9), ("det", 1.0)])
def test_several_answers_make_one_soft_label(soft: str, score_a: float, tmp_path) -> None:
    scores = {STRONG: iter([2, 4, 5]), WEAK: iter([1, 4, 5])}

    class Graded(Models):
        def verdict(self, text: str) -> str:
            return json.dumps({"score": next(scores[STRONG if STRONG in text else WEAK])})

    label(job(tmp_path, prompts(1), mode="score", n_answers=3, soft=soft), asker=Graded())
    assert rows(tmp_path)[0]["score_a"] == pytest.approx(score_a)
    assert read_battles(tmp_path / "labels.jsonl").score_a[0] == rows(tmp_path)[0]["score_a"]


def test_each_of_several_answers_is_compared_with_its_counterpart(tmp_path) -> None:
    report = label(job(tmp_path, prompts(4), n_answers=3), asker=Models())
    assert report.n_verdicts == 12
    assert [row["score_a"] for row in rows(tmp_path)] == [1.0, 0.5, 0.5, 0.5]


def test_the_shift_is_searched_over_all_prompts_together(tmp_path) -> None:
    graded = {"p": (5, 5), "q": (5, 4), "r": (5, 2)}

    class Graded(Models):
        def verdict(self, text: str) -> str:
            name = text.split("<request>\n")[1][0]
            return json.dumps({"score": graded[name][STRONG not in text]})

    logged = [LoggedPrompt(name) for name in graded]
    label(job(tmp_path, logged, mode="score", soft="trans"), asker=Graded())
    # t = 0 splits one from two, and so does t = 1/4: the least of the best wins.
    assert [row["score_a"] for row in rows(tmp_path)] == [0.0, 1.0, 1.0]


def test_the_same_job_goes_on_and_pays_for_nothing_twice(tmp_path) -> None:
    label(job(tmp_path, out="whole.jsonl", max_tokens=20), asker=Models())
    # The pilot is 20 prompts; the cap falls into the second part.
    capped = label(job(tmp_path, max_tokens=20, max_cost_usd=0.02), asker=Models())
    assert capped.capped
    assert 0 < capped.n_labelled < 40
    assert len(rows(tmp_path)) == capped.n_labelled
    first = (tmp_path / "labels.jsonl").read_bytes()
    assert (tmp_path / "whole.jsonl").read_bytes().startswith(first[:200])
    again = label(job(tmp_path, max_tokens=20, max_cost_usd=9.0), asker=Models())
    assert capped.n_calls + again.n_calls == 160
    assert (tmp_path / "labels.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert label(job(tmp_path, max_tokens=20), asker=Models()).n_calls == 0


def test_what_it_will_take_is_told_before(tmp_path) -> None:
    before = estimate_job(job(tmp_path), answer_tokens=5)
    assert [(one.model, one.n_calls) for one in before.models] == [
        (STRONG, 40), (WEAK, 40), (JUDGE, 80),
    ]  # fmt: skip
    assert not journal_path(tmp_path / "labels.jsonl").exists()
    report = label(job(tmp_path), asker=Models())
    assert before.n_calls == report.n_calls
    assert before.cost_usd == pytest.approx(report.spent_usd, rel=0.5)
    after = estimate_job(job(tmp_path))
    assert (after.n_calls, after.cost_usd) == (0, 0.0)
    assert after.spent_usd == pytest.approx(report.spent_usd)
    unpriced = LabelJob(prompts=prompts(), settings=LabelSettings(**PAIR), out=tmp_path / "x")
    assert np.isnan(estimate_job(unpriced).cost_usd)


def people(flip=(), n=40, **fields) -> list[dict]:
    winner = {True: "model_a", False: "tie"}
    return [
        {"prompt": p.prompt, "model_a": "big", "model_b": "small",
         "winner": winner[is_hard(p.prompt) != (i in flip)], **fields}
        for i, p in enumerate(prompts(n))
    ]  # fmt: skip


def with_people(folder, said, asker=None, **options):
    settings = LabelSettings(**PAIR)
    sample = read_human_sample(said, settings)
    return label(job(folder, sample=sample, **options), asker=asker or Models())


def test_agreement_with_people_is_reported(tmp_path) -> None:
    found = with_people(tmp_path, people(flip=(0, 1)), max_cost_usd=9.0).agreement
    assert (found.n, found.n_decided) == (40, 9)
    assert found.agreement.value == 38 / 40
    assert found.decided_agreement.value == 1.0
    assert 0.5 < found.kappa.low < found.kappa.value < 1.0
    assert not found.is_chance
    assert found.corrected.low < 0.25 < found.corrected.high


def test_a_judge_at_chance_stops_before_the_rest_is_paid(tmp_path) -> None:
    coin = Models(judge=lambda *_: 1)
    with pytest.raises(DataError, match="no better than chance"):
        with_people(tmp_path, people(n=24), asker=coin)
    assert coin.asked.count(JUDGE) == 48
    assert not (tmp_path / "labels.jsonl").exists()
    report = with_people(tmp_path, people(n=24), asker=coin, force=True)
    assert report.n_labelled == 40
    assert report.agreement.is_chance
    # Ten labels tell nothing of a judge, neither good nor bad.
    few = with_people(tmp_path, people(n=10), asker=coin, out="few.jsonl")
    assert not few.agreement.is_telling


def test_people_may_name_routes_and_grade_answers(tmp_path) -> None:
    said = [
        {"prompt": p.prompt, "label": f"ROUTE_TO_{'SUP' if is_hard(p.prompt) else 'INF'}ERIOR"}
        for p in prompts()
    ]
    settings = LabelSettings(mode="route", **PAIR)
    routed = label(
        job(tmp_path, mode="route", sample=read_human_sample(said, settings)), asker=Models()
    )
    assert routed.agreement.kappa.value == 1.0
    graded = [{"prompt": p.prompt, "model": "small", "quality": 0.9} for p in prompts()]
    options = {"mode": "score", "models": (WEAK,)}
    settings = LabelSettings(judge=JUDGE, **options)
    scored = label(
        job(tmp_path, **options, sample=read_human_sample(graded, settings), force=True),
        asker=Models(),
    )
    assert scored.agreement.agreement.value == 0.75


def test_a_judge_that_cannot_be_read_stops_the_run_early(tmp_path) -> None:
    class Mute(Models):
        def verdict(self, text: str) -> str:
            return ""

    mute = Mute()
    with pytest.raises(DataError, match="judge-tokens"):
        label(job(tmp_path), asker=mute)
    assert mute.asked.count(STRONG) == 20
    report = label(job(tmp_path, force=True), asker=mute)
    assert report.problems == {"no verdict": 40}
    assert (tmp_path / "labels.jsonl").read_text() == ""


def test_a_share_of_all_prompts_is_estimated_with_the_shares_of_the_choice(tmp_path) -> None:
    shares = [0.25 if is_hard(one.prompt) else 1.0 for one in prompts(8)]
    report = label(job(tmp_path, prompts(8), shares=shares), asker=Models())
    assert report.pairs[0].a == pytest.approx(8 / 14)


def test_rows_stand_in_the_order_of_the_log(tmp_path) -> None:
    places = list(reversed(range(40)))
    label(job(tmp_path, places=places), asker=Models())
    assert [row["prompt"] for row in rows(tmp_path)] == [p.prompt for p in reversed(prompts())]


def test_a_conversation_is_asked_whole_and_its_last_question_is_the_prompt(tmp_path) -> None:
    said = ({"role": "user", "content": "easy"}, {"role": "assistant", "content": "ok"},
            {"role": "user", "content": "and hard?"})  # fmt: skip
    seen = []

    class Seeing(Models):
        async def ask(self, call: Call) -> Reply:
            seen.append(call)
            return await super().ask(call)

    label(job(tmp_path, [LoggedPrompt("and hard?", said)]), asker=Seeing())
    assert [len(call.messages) for call in seen] == [3, 3, 1, 1]
    assert "Assistant: ok\n\nUser: and hard?" in seen[2].messages[0]["content"]
    assert rows(tmp_path)[0]["prompt"] == "and hard?"


def test_the_verdicts_limit_is_the_judges_own(tmp_path) -> None:
    seen = []

    class Seeing(Models):
        async def ask(self, call: Call) -> Reply:
            seen.append((call.purpose, call.max_tokens))
            return await super().ask(call)

    label(job(tmp_path, prompts(1), judge_tokens=999, max_tokens=7), asker=Seeing())
    assert set(seen) == {("answer", 7), ("verdict", 999)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "pair"}, "Did you mean 'pairwise'"),
        ({"judge": None}, "needs a `judge`"),
        ({"models": (STRONG,)}, "needs 2 or more models, got 1"),
        ({"models": (STRONG, STRONG)}, "must differ"),
        ({"mode": "route", "models": ()}, "needs the `strong` and the `weak`"),
        ({"mode": "route", "n_answers": 2}, "asks for no answers"),
        ({"soft": "prob"}, "needs mode 'score'"),
        ({"mode": "score", "soft": "hard"}, "det, prob, trans"),
        ({"mode": "reference", "comparison": "numbers"}, "Did you mean 'number'"),
        ({"max_tokens": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_used_say_so(options: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LabelSettings(**{**PAIR, **options})


def test_a_judge_that_is_a_model_and_a_blind_mode_are_warned_about() -> None:
    (warning,) = LabelSettings(models=(STRONG, WEAK), judge="big-2024-08-06").warnings()
    assert "prefer their own answers" in warning
    (warning,) = LabelSettings(mode="route", **PAIR).warnings()
    assert "weakest" in warning
    assert LabelSettings(**PAIR).warnings() == []


def test_a_file_of_somebody_else_is_not_replaced(tmp_path) -> None:
    (tmp_path / "labels.jsonl").write_text("mine")
    with pytest.raises(ConfigurationError, match="--force"):
        label(job(tmp_path), asker=Models())
    assert (tmp_path / "labels.jsonl").read_text() == "mine"
    label(job(tmp_path, force=True), asker=Models())
    label(job(tmp_path), asker=Models())  # now it is a run's
    assert len(rows(tmp_path)) == 40


async def test_in_a_running_loop_the_other_function_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="await alabel"):
        label(job(tmp_path), asker=Models())
    assert (await alabel(job(tmp_path), asker=Models())).n_labelled == 40


def test_labels_are_their_owners_alone_and_whole(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [OutcomeRow("p", "m", 1.0)])
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0

    def broken():
        yield BattleRow("p\ud83d", "a", "b", 0.5)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(path, broken())
    assert read_outcomes(path).quality.tolist() == [[1.0]]
    assert os.listdir(tmp_path) == ["rows.jsonl"]
    with pytest.raises(ConfigurationError, match="folder"):
        write_rows(tmp_path / "absent" / "rows.jsonl", [])


_FULL = """
import resource, sys
from routellm_core.labeling.label_rows import OutcomeRow, write_rows

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
try:
    write_rows(sys.argv[1], [OutcomeRow("p" * 50, "m", 1.0)] * 100)
except OSError as error:
    print(error.errno)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits on a file's size are POSIX's")
def test_a_full_disk_leaves_the_labels_that_were_there(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [OutcomeRow("p", "m", 1.0)])
    before = path.read_bytes()
    command = [sys.executable, "-c", _FULL, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["rows.jsonl"]
