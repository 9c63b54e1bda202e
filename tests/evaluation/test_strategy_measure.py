"""Strategies played on answered prompts, against plain loops; their figures and intervals."""

from dataclasses import replace

import numpy as np
import pytest

from routellm_core import ConfigurationError, DataError
from routellm_core.answers import check
from routellm_core.data.scored_outcomes import read_scored_outcomes
from routellm_core.evaluation.contenders import (
    Signals,
    best_of,
    cascade,
    experts,
    fixed,
    hybrid,
    oracle,
    predict,
)
from routellm_core.evaluation.expert_answers import ExpertAnswers, scores_of
from routellm_core.evaluation.report.strategies import render_strategy_page
from routellm_core.evaluation.strategies import PairOutcomes, cascade_curve
from routellm_core.evaluation.strategy_measure import measure_strategies, random_halves
from routellm_core.monitoring import Price, Pricing


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    hardness = rng.uniform(size=600)
    chances = np.stack([1.0 - hardness / power for power in (1.0, 2.0, 4.0)], axis=1)
    quality = (rng.uniform(size=(600, 3)) < chances).astype(float)
    usd = np.array([0.1, 0.3, 1.0]) * rng.uniform(0.9, 1.1, size=(600, 3))
    scores = np.round(np.clip(quality * 0.5 + rng.uniform(0.0, 0.6, size=(600, 3)), 0, 1), 2)
    answers = ExpertAnswers(
        ("small", "middle", "big"), quality, usd, usd * 1000.0, scores, 0.02, 5.0
    )
    return answers, Signals(hardness, chances)


def test_a_cascade_asks_and_scores_until_an_answer_is_accepted(world) -> None:
    answers, signals = world
    for (accept,) in cascade().settings(answers, signals)[::20]:
        played = cascade().play(answers, signals, (accept,))
        for row in range(0, 600, 7):
            usd = ms = 0.0
            for place in range(3):
                usd += answers.usd[row, place]
                ms += answers.ms[row, place]
                if place == 2:
                    break
                usd, ms = usd + 0.02, ms + 5.0
                if answers.scores[row, place] >= accept:
                    break
            assert played.usd[row] == pytest.approx(usd)
            assert played.ms[row] == pytest.approx(ms)
            assert played.quality[row] == answers.quality[row, place]
            assert played.rejected[row] == (answers.scores[row, 0] < accept)


def test_a_pairs_cascade_equals_the_exact_curve_at_every_level(world) -> None:
    answers, signals = world
    pair = ExpertAnswers(
        ("small", "big"), answers.quality[:, [0, 2]], answers.usd[:, [0, 2]], None,
        answers.scores[:, [0, 2]], 0.02,
    )  # fmt: skip
    outcomes = PairOutcomes.of(
        pair.quality[:, 0], pair.quality[:, 1], pair.usd[:, 0], pair.usd[:, 1]
    )
    curve = cascade_curve(pair.scores[:, 0], outcomes, verifier_usd=0.02)
    for cost, quality, accept in zip(*curve[1:], strict=True):
        played = cascade().play(pair, signals, (accept,))
        assert (played.usd.mean(), played.quality.mean()) == pytest.approx((cost, quality))


def test_a_hybrid_with_an_empty_band_predicts_and_with_a_full_one_cascades(world) -> None:
    answers, signals = world
    empty = hybrid().play(answers, signals, (0.4, 0.4, 0.5))
    predicted = predict().play(answers, signals, (0.4,))
    full = hybrid().play(answers, signals, (0.0, 2.0, 0.5))
    cascaded = cascade().play(answers, signals, (0.5,))
    for one, other in ((empty, predicted), (full, cascaded)):
        for name in ("usd", "quality", "ms"):
            assert getattr(one, name) == pytest.approx(getattr(other, name))


def test_the_best_of_all_costs_all_and_takes_as_long_as_the_slowest(world) -> None:
    answers, signals = world
    played = best_of().play(answers, signals, ())
    for row in range(0, 600, 11):
        assert played.usd[row] == pytest.approx(answers.usd[row].sum() + 3 * 0.02)
        assert played.ms[row] == pytest.approx(answers.ms[row].max() + 5.0)
        assert played.quality[row] == answers.quality[row, answers.scores[row].argmax()]


def test_experts_choose_the_highest_estimate_less_the_price(world) -> None:
    answers, signals = world
    settings = experts().settings(answers, signals)
    cheapest = experts().play(answers, signals, settings[-1])
    assert cheapest.usd.tolist() == answers.usd[:, 0].tolist()
    best = experts().play(answers, signals, settings[0])
    assert best.usd.tolist() == answers.usd[:, 2].tolist()  # its chance is never lower


def test_figures_of_a_lone_expert_are_those_of_random_and_the_oracle_is_above_all(world) -> None:
    answers, signals = world
    names = [(experts(), None), (cascade(), None), (hybrid(), None), (best_of(), None)]
    found = measure_strategies(answers, signals, names, rounds=50)
    by_name = {row.name: row for row in found.strategies}
    assert list(by_name) == [
        "predict", "experts", "cascade", "hybrid", "best_of", "random", "oracle"
    ]  # fmt: skip
    gains = {name: row.usd.gain.value for name, row in by_name.items()}
    assert max(gains, key=gains.get) == "oracle"
    assert gains["cascade"] > gains["predict"] > 0.5
    over = by_name["cascade"].usd.over_predict
    assert over.value == pytest.approx(gains["cascade"] - gains["predict"])
    assert 0.0 < over.low < over.value < over.high
    assert found.models[0] == "small"
    assert found.strong == "big"
    assert by_name["cascade"].ms.gain.value > by_name["predict"].ms.gain.value


def test_random_between_two_models_lies_half_way(world) -> None:
    answers, signals = world
    pair = ExpertAnswers(
        ("small", "big"), answers.quality[:, [0, 2]], np.tile([0.1, 1.0], (600, 1))
    )
    found = measure_strategies(pair, Signals(signals.win_rates), [], rounds=20)
    random = next(row for row in found.strategies if row.name == "random")
    weak, strong = found.alone[0][2], found.alone[1][2]
    assert random.usd.gain.value == pytest.approx(0.5)
    assert random.usd.gain.low == pytest.approx(0.5)
    assert random.usd.at_budgets[0].value == pytest.approx(weak + 0.25 * (strong - weak))
    assert random.ms is None


def test_settings_are_chosen_on_one_half_and_measured_on_the_other(world) -> None:
    answers, signals = world
    found = measure_strategies(answers, signals, [(cascade(), None)], rounds=2, seed=3)
    chosen_on, measured = random_halves(600, seed=3)
    assert (found.n_chosen_on, found.n_measured) == (300, 300)
    assert not set(chosen_on) & set(measured)
    held = answers.select(measured)
    curve = next(row for row in found.strategies if row.name == "cascade").usd
    levels = {setting[0] for setting in cascade().settings(answers.select(chosen_on), signals)}
    for point in curve.points:
        if point.setting:
            played = cascade().play(held, signals, point.setting)
            assert (point.price, point.quality) == pytest.approx(
                (played.usd.mean(), played.quality.mean())
            )
            assert point.setting[0] in levels


def test_one_seed_gives_one_result(world) -> None:
    answers, signals = world
    first, again = (
        measure_strategies(answers, signals, [(hybrid(), None)], rounds=20, seed=1)
        for _ in range(2)
    )
    assert first == again


def test_a_strategy_without_the_scores_that_it_needs_says_what_to_bring(world) -> None:
    answers, signals = world
    with pytest.raises(ConfigurationError, match=r"have no scores.*column `score`"):
        cascade().settings(replace(answers, scores=None), signals)
    first_only = answers.scores.copy()
    first_only[:, 1:] = np.nan
    with pytest.raises(ConfigurationError, match=r"600 of 600 prompts lack a score.*'middle'"):
        cascade().settings(replace(answers, scores=first_only), signals)


def test_the_oracle_can_mind_time_in_place_of_dollars(world) -> None:
    answers, signals = world
    slow = replace(answers, ms=answers.ms[:, ::-1])
    cheapest = oracle("ms").settings(slow, signals)[-1]
    assert oracle("ms").play(slow, signals, cheapest).ms.tolist() == slow.ms[:, 2].tolist()
    assert fixed(2, "big").play(slow, signals, ()).ms.tolist() == slow.ms[:, 2].tolist()


ROWS = [
    {"prompt": p, "model": m, "quality": q, "cost": c, "answer": f"{m}: {q}", "logprob": -q}
    for p in "abcd"
    for m, q, c in (("big", 1.0, 0.02), ("small", 0.5, 0.01))
]


def test_a_table_is_read_with_its_further_columns() -> None:
    table = read_scored_outcomes([{**row, "score": 0.25, "latency_ms": 7} for row in ROWS])
    assert table.outcomes.models == ("big", "small")
    assert table.values["score"].tolist() == [[0.25, 0.25]] * 4
    assert table.values["latency_ms"].tolist() == [[7.0, 7.0]] * 4
    assert np.isnan(table.values["input_tokens"]).all()
    assert table.answers[0] == ("big: 1.0", "small: 0.5")
    answers, part = ExpertAnswers.of(table, pricing=Pricing())
    assert answers.models == part.outcomes.models == ("small", "big")
    assert answers.usd.tolist() == [[0.01, 0.02]] * 4


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("score", 1.5, r"`score` must lie in \[0.0, 1.0\], got 1.5"),
        ("logprob", 0.1, r"`logprob` must lie in"),
        ("latency_ms", "soon", "`latency_ms` must be a number, got 'soon'"),
        ("answer", 3, "`answer` must be a text, got int"),
    ],
)
def test_a_further_column_with_a_wrong_value_makes_a_bad_row(column, value, told) -> None:
    with pytest.raises(DataError, match=told):
        read_scored_outcomes([*ROWS, {**ROWS[0], column: value}], strict=True)
    lax = read_scored_outcomes([{**row, "prompt": f"{i} {row['prompt']}"} for i in range(9)
                                for row in ROWS] + [{**ROWS[0], column: value}])  # fmt: skip
    assert lax.outcomes.report.n_bad == 1
    assert "a" not in lax.outcomes.prompts


def test_token_counts_and_a_known_price_stand_for_a_cost() -> None:
    rows = [{**row, "input_tokens": 1000, "output_tokens": 10} for row in ROWS]
    for row in rows:
        del row["cost"]
    pricing = Pricing({"big": Price("big", 2e-6, 1e-5), "small": Price("small", 1e-6, 1e-6)})
    answers, _ = ExpertAnswers.of(read_scored_outcomes(rows), pricing=pricing)
    assert answers.usd[0].tolist() == pytest.approx([1.01e-3, 2.1e-3])
    del rows[2]["output_tokens"]
    with pytest.raises(DataError, match="cost of 4 answers of 'big' is not known"):
        ExpertAnswers.of(read_scored_outcomes(rows), pricing=pricing)


def test_scores_come_from_log_probabilities_or_from_a_verifier_that_reads_answers() -> None:
    table = read_scored_outcomes(ROWS)
    assert scores_of(table, "logprob")[0] == pytest.approx(np.exp([-1.0, -0.5]))
    is_big = check(lambda prompt, answer: answer.text.startswith("big"))
    assert scores_of(table, is_big).tolist() == [[1.0, 0.0]] * 4
    bare = read_scored_outcomes(
        [{k: row[k] for k in ("prompt", "model", "quality")} for row in ROWS]
    )
    for verifier, column in (("logprob", "logprob"), (is_big, "answer")):
        with pytest.raises(DataError, match=f"needs a column `{column}`"):
            scores_of(bare, verifier)


def test_a_page_shows_every_strategy_and_escapes_names(world) -> None:
    answers, signals = world
    found = measure_strategies(answers, signals, [(cascade(), None)], rounds=5)
    page = render_strategy_page([("<mine>", "mf", found)])
    assert "&lt;mine&gt;" in page
    assert "<mine>" not in page
    for name in ("predict", "cascade", "random", "oracle"):
        assert f">{name}</" in page
    assert page.count("<figure>") == 2
