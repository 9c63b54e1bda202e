"""The bundled router on pairs of prompts whose order is known."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from routellm_core import load_router

CASES: list[dict[str, str]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()
]
LANGUAGES = ("en", "pt", "es", "fr", "de", "it", "ru", "zh", "ja", "ko", "ar", "hi")
SPLITS = ("dev", "heldout")
BELOW_MEDIAN = ("greeting", "thanks", "one_fact", "arithmetic")
"""Kinds whose easier prompt belongs in the lower half of the calibration prompts."""

IN_ORDER = {"dev": 0.95, "heldout": 0.95}
IN_ORDER_PER_LANGUAGE = {"dev": 0.90, "heldout": 0.90}
ABOVE_MEDIAN = {"dev": 0, "heldout": 0}


@pytest.fixture(scope="module")
def win_rates() -> dict[str, float]:
    prompts = list(dict.fromkeys(case[side] for case in CASES for side in ("easier", "harder")))
    rates = load_router("mf").win_rates(prompts)
    return dict(zip(prompts, map(float, rates), strict=True))


def share_in_order(cases: list[dict[str, str]], win_rates: dict[str, float]) -> float:
    return float(np.mean([win_rates[c["harder"]] > win_rates[c["easier"]] for c in cases]))


def cases_of(split: str, language: str | None = None) -> list[dict[str, str]]:
    return [
        case
        for case in CASES
        if case["split"] == split and (language is None or case["language"] == language)
    ]


def test_each_language_and_kind_stands_in_both_halves() -> None:
    assert len(CASES) == 240
    fields = {"language", "split", "kind", "easier", "harder"}
    assert all(set(case) == fields and all(case.values()) for case in CASES)
    counts = Counter((case["language"], case["split"]) for case in CASES)
    assert counts == dict.fromkeys([(lang, split) for lang in LANGUAGES for split in SPLITS], 10)
    kinds = {split: {case["kind"] for case in cases_of(split)} for split in SPLITS}
    assert kinds["dev"] == kinds["heldout"]


def test_no_prompt_stands_in_both_halves() -> None:
    dev, heldout = (
        {case[side] for case in cases_of(split) for side in ("easier", "harder")}
        for split in SPLITS
    )
    assert not dev & heldout


def test_long_winded_prompts_are_longer_than_the_harder_ones() -> None:
    pairs = [case for case in CASES if case["kind"] == "longwinded"]
    assert all(len(case["easier"]) > 4 * len(case["harder"]) for case in pairs)


@pytest.mark.parametrize("split", SPLITS)
def test_most_pairs_are_in_order(split: str, win_rates: dict[str, float]) -> None:
    assert share_in_order(cases_of(split), win_rates) >= IN_ORDER[split]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_most_pairs_of_a_language_are_in_order(
    split: str, language: str, win_rates: dict[str, float]
) -> None:
    share = share_in_order(cases_of(split, language), win_rates)
    assert share >= IN_ORDER_PER_LANGUAGE[split]


@pytest.mark.parametrize("split", SPLITS)
def test_simple_prompts_stand_below_the_median(split: str, win_rates: dict[str, float]) -> None:
    calibration = load_router("mf").calibration
    assert calibration is not None
    median = float(np.median(calibration.quantiles))
    above = [
        case["easier"]
        for case in cases_of(split)
        if case["kind"] in BELOW_MEDIAN and win_rates[case["easier"]] > median
    ]
    assert len(above) <= ABOVE_MEDIAN[split], above
