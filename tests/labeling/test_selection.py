"""Prompts are chosen over all their kinds, each about once."""

import numpy as np
import pytest
from planted import planted

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.shingles import distinct
from routellm_core.labeling.logged import LoggedPrompt
from routellm_core.labeling.selection import (
    choose,
    inclusion_shares,
    systematic,
    without_near_duplicates,
)
from routellm_core.testing import HashingEmbedder, ScriptedRouter

LONG = "Please explain to a child of ten years why the sky looks blue on a clear summer day"


def test_near_duplicates_go_and_signs_count() -> None:
    texts = [LONG, LONG.upper() + "?", LONG.replace("ten", "nine"), "2 + 2?", "2 * 2?", "2+2 ?"]
    assert distinct(texts).tolist() == [True, False, False, True, True, False]


def test_distinct_finds_what_comparing_all_finds() -> None:
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(60):
        base = rng.integers(0, 26, 80)
        for n_changed in (0, 2, 6, 20):
            row = base.copy()
            row[rng.choice(80, n_changed, replace=False)] = 3
            texts.append("".join(chr(97 + one) for one in row))

    def pieces(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    kept: list[str] = []
    for text in texts:
        own = pieces(text)
        if all(len(own & pieces(t)) / len(own | pieces(t)) < 0.8 for t in kept):
            kept.append(text)
    assert [t for t, one in zip(texts, distinct(texts), strict=True) if one] == kept


def test_the_prompt_that_saves_most_calls_stays_in_its_place() -> None:
    answered = LoggedPrompt(LONG + ".", answers={"a": "x"})
    prompts = [LoggedPrompt(LONG), LoggedPrompt("else"), answered]
    assert without_near_duplicates(prompts) == [prompts[1], answered]
    assert without_near_duplicates(prompts, preferred={LONG}) == prompts[:2]
    with pytest.raises(ConfigurationError, match="threshold"):
        without_near_duplicates(prompts, threshold=0.2)


def test_every_prompt_has_its_share_of_being_chosen() -> None:
    shares = inclusion_shares(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), 3)
    assert shares.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    starts = (np.arange(2000) + 0.5) / 2000
    counts = np.zeros(5)
    for start in starts:
        rows = systematic(shares, 3, start=float(start))
        assert len(set(rows.tolist())) == 3
        counts[rows] += 1
    assert counts / len(starts) == pytest.approx(shares, abs=1e-3)


def test_a_sample_has_all_kinds_and_more_of_what_is_open() -> None:
    prompts = [f"{'river' if n < 900 else 'prove'} {n}" for n in range(1000)]
    router = ScriptedRouter({prompt: n / 1000 for n, prompt in enumerate(prompts)})
    chosen = choose(prompts, 200, router=router, embedder=HashingEmbedder(), seed=1)
    assert len(set(chosen.rows.tolist())) == 200
    # Horvitz and Thompson: the weights undo the unequal shares.
    weights = 1.0 / chosen.shares
    assert weights.sum() == pytest.approx(1000, rel=0.05)
    assert weights[chosen.rows >= 900].sum() == pytest.approx(100, rel=0.25)
    middle = ((chosen.rows >= 400) & (chosen.rows < 600)).sum()
    ends = ((chosen.rows < 100) | (chosen.rows >= 900)).sum()
    assert middle > 1.4 * ends
    # Any beginning is a sample as well.
    assert np.mean(chosen.rows[:50]) == pytest.approx(500, abs=130)


@pytest.mark.parametrize(("n", "n_chosen"), [(40, 40), (3, 10)])
def test_some_are_chosen_in_any_case(n: int, n_chosen: int) -> None:
    prompts, _ = planted(300, seed=0)
    always = list(range(0, 100, 10))
    chosen = choose(prompts, n, always=always, seed=2)
    assert len(set(chosen.rows.tolist())) == n_chosen
    assert set(always) <= set(chosen.rows.tolist())
    shares = dict(zip(chosen.rows.tolist(), chosen.shares, strict=True))
    assert all(shares[row] == 1.0 for row in always)
    assert all(0.0 < share < 1.0 for row, share in shares.items() if row not in always)


def test_the_choice_follows_its_seed_alone() -> None:
    prompts, _ = planted(300, seed=0)
    first, again = choose(prompts, 40, seed=3), choose(prompts, 40, seed=3)
    assert first.rows.tolist() == again.rows.tolist()
    assert first.rows.tolist() != choose(prompts, 40, seed=4).rows.tolist()
    everything = choose(prompts, 9999)
    assert sorted(everything.rows.tolist()) == list(range(300))
    assert (everything.shares == 1.0).all()
    with pytest.raises(ConfigurationError, match="at least 1"):
        choose(prompts, 0)
