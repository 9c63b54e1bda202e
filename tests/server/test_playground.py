"""The page: what it shows, that it needs no model, and that it loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from routellm_core.server import create_app, read_settings
from routellm_core.server.drawings import dial, histogram
from routellm_core.server.playground import Playground
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.server.conftest import EASY, HARD, KEY, serving

pytestmark = pytest.mark.loopback


@pytest_asyncio.fixture
async def page(upstream: OpenAIServer) -> AsyncIterator[Playground]:
    flags = {"strong_model": "big", "weak_model": "small", "base_url": upstream.base_url}
    router = ScriptedRouter({HARD: 0.9}, default=0.1)
    app = create_app(read_settings(flags, environ={}), routers={"mf": router})
    yield Playground(app.state.service)
    await app.state.service.aclose()


async def test_a_prompt_moves_the_dial_and_the_slider_the_decision(page: Playground) -> None:
    win_rates, dials = await page.score(HARD, 0.5)
    assert win_rates == {"mf": 0.9}
    assert "0.900 ≥ threshold 0.500" in dials
    assert '<span class="route strong">strong</span>' in dials
    assert '<span class="route weak">weak</span>' in page.dials(win_rates, 0.95)


async def test_no_prompt_is_no_decision(page: Playground) -> None:
    assert (await page.score("  ", 0.5))[0] == {}
    assert "no prompt yet" in page.dials({}, 0.5)


async def test_a_routers_failure_is_shown(upstream: OpenAIServer) -> None:
    with serving(upstream, router=ScriptedRouter(error=RuntimeError("broken"))) as served:
        _, dials = await Playground(served.app.state.service).score(HARD, 0.5)
    assert "The router failed: RuntimeError" in dials


async def test_many_prompts_are_pasted_or_read_from_a_file(
    page: Playground, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Prove it."}\n\n{"prompt": "<b>hi</b>"}\n')
    (prompts, rates), chart = await page.score_many(f"{EASY}\n\n", str(file), None, 0.5)
    assert prompts == [EASY, HARD, "<b>hi</b>"]
    assert rates == [0.1, 0.9, 0.1]
    assert "<b>33%</b> of 3" in chart
    assert "&lt;b&gt;hi" in chart
    assert "<b>0%</b> of 3" in page.chart((prompts, rates), 0.95)


async def test_a_file_without_prompts_says_which_line(page: Playground, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "fine"}\n{"text": "?"}\n')
    assert "Line 2" in (await page.score_many("", str(file), None, 0.5))[1]
    assert "No prompts yet" in (await page.score_many("", None, None, 0.5))[1]


async def test_each_answer_says_which_model_it_is_from(
    page: Playground, upstream: OpenAIServer
) -> None:
    history: list[dict[str, Any]] = []
    for said in (HARD, EASY):
        async for _, conversation in page.answer(said, history, "mf", 0.5):
            history = conversation
    assert history[1]["content"] == f"**big** · strong · win rate 0.900\n\nbig heard: {HARD}"
    assert history[3]["content"].startswith("**small** · weak")
    sent = upstream.requests[1].body["messages"]
    assert [message["content"] for message in sent] == [HARD, f"big heard: {HARD}", EASY]


async def test_no_answer_is_said_so(page: Playground, upstream: OpenAIServer) -> None:
    upstream.script(Step(status=400))
    turns = [history async for _, history in page.answer(HARD, [], "mf", 0.5)]
    assert turns[-1][-1]["content"] == "*No answer: Scripted error 400.*"


def test_the_page_is_served_behind_the_key_and_names_no_other_host(upstream: OpenAIServer) -> None:
    with serving(upstream, api_key=KEY, playground=True) as served:
        assert httpx.get(f"{served.url}/playground/").status_code == 401
        answer = httpx.get(f"{served.url}/playground/", auth=("anybody", KEY))
        assert answer.status_code == 200
        loaded = re.findall(
            r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?://[^"]+)', answer.text
        )
        assert loaded == []
        assert "fonts.googleapis" not in answer.text
        assert served.post(EASY).status_code == 200, "the server behind the page still answers"


def test_without_models_the_page_still_decides(upstream: OpenAIServer) -> None:
    with serving(upstream, strong_model=None, weak_model=None, playground=True) as served:
        assert httpx.get(f"{served.url}/playground/").status_code == 200


@pytest.mark.parametrize("win_rate", [0.0, 0.5, 1.0, None])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_a_dial_is_drawn_at_every_limit(win_rate: float | None, threshold: float) -> None:
    drawn = dial("<mf>", win_rate=win_rate, threshold=threshold)
    assert "nan" not in drawn
    assert "&lt;mf&gt;" in drawn


def test_a_histogram_counts_every_prompt() -> None:
    drawn = histogram(np.array([0.0, 0.01, 0.5, 1.0]), threshold=0.5)
    counts = [int(count) for count in re.findall(r"<title>(\d+)</title>", drawn)]
    assert sum(counts) == 4
    assert (counts[0], counts[10], counts[-1]) == (2, 1, 1)
    assert drawn.count("#9d3bb5") == 10, "bins from the threshold on are the strong model's"
