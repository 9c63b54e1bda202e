"""The page where a person types a prompt and sees where it goes and why."""

from __future__ import annotations

import asyncio
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from routellm_core.errors import RouteLLMError
from routellm_core.server.drawings import STYLE, dial, histogram
from routellm_core.server.events import EventSplitter, event_json
from routellm_core.server.requests import ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fastapi import FastAPI

    from routellm_core.controller.fleet import Fleet
    from routellm_core.server.service import ChatService
    from routellm_core.types import WinRates

__all__ = ["Playground", "mount_playground"]

PATH = "/playground"
MAX_PROMPTS = 10_000
"""Of a file or a paste with more prompts, the first are scored."""

_SHOWN_ROWS = 50
_FONTS = ["ui-sans-serif", "system-ui", "sans-serif"]
_CSS = f"""{STYLE}
.gradio-container {{width: 100% !important; max-width: 1080px !important;
  margin: 0 auto !important}}
footer {{display: none !important}}
"""
_EXAMPLES = [
    "What is the capital of France?",
    "Prove that there are infinitely many primes.",
    "Write a haiku about rain.",
]


def mount_playground(app: FastAPI) -> FastAPI:
    """Return the server's application with the page at /playground."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Where no loop runs, gradio makes some, sets one for the whole thread and closes none.
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(_mount_in_loop(app))
        finally:
            loop.close()
    return _mount(app)


async def _mount_in_loop(app: FastAPI) -> FastAPI:
    return _mount(app)


def _mount(app: FastAPI) -> FastAPI:
    blocks = Playground(app.state.service).blocks()
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path=PATH,
        footer_links=[],
        show_error=False,
        max_file_size="8mb",
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        theme=gr.themes.Default(font=_FONTS, font_mono=["ui-monospace", "monospace"]).set(
            block_info_text_color="#6b7280"
        ),
        css=_CSS,
    )
    return mounted


class Playground:
    """Show the decisions and answers of a server.

    Parameters
    ----------
    service
        Decides and answers.
    """

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self._fleet: Fleet = service.fleet
        self._default_threshold = self._fleet.decider(None).policy.threshold

    def blocks(self) -> gr.Blocks:
        """Return the page, which reports to nobody and loads nothing from elsewhere."""
        blocks: gr.Blocks = gr.Blocks(
            title="routellm playground", analytics_enabled=False, delete_cache=(3600, 3600)
        )
        with blocks:
            gr.Markdown("## Which model does a prompt need?")
            with gr.Row():
                threshold = gr.Slider(
                    0.0,
                    1.0,
                    value=round(self._default_threshold, 3),
                    step=0.001,
                    label="Threshold",
                    info="Win rates from here on go to the strong model",
                    min_width=300,
                    elem_id="threshold",
                )
                router = gr.Dropdown(
                    list(self._fleet.deciders),
                    value=self._fleet.default,
                    label="Router",
                    info="Decides for many prompts and in the chat",
                    min_width=300,
                    visible=len(self._fleet.deciders) > 1,
                    elem_id="router",
                )
            with gr.Tab("One prompt"):
                self._one(threshold)
            with gr.Tab("Many prompts"):
                self._many(threshold, router)
            with gr.Tab("Chat"):
                self._chat(threshold, router)
        return blocks

    def _one(self, threshold: gr.Slider) -> None:
        prompt = gr.Textbox(
            label="Prompt", lines=3, max_lines=12, autofocus=True, elem_id="prompt",
            placeholder="Type, and see where it goes.",
        )  # fmt: skip
        win_rates = gr.State({})
        dials = gr.HTML(self.dials({}, self._default_threshold), elem_id="dials")
        gr.Examples(_EXAMPLES, prompt, cache_examples=False)
        quick: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
        prompt.change(
            self.score, [prompt, threshold], [win_rates, dials], api_visibility="private", **quick
        )
        threshold.change(
            self.dials, [win_rates, threshold], dials, api_visibility="private", **quick
        )

    def _many(self, threshold: gr.Slider, router: gr.Dropdown) -> None:
        with gr.Row():
            pasted = gr.Textbox(
                label="Prompts, one per line",
                lines=6,
                max_lines=12,
                elem_id="prompts",
                min_width=300,
            )
            file = gr.File(
                label="Or a file: .txt, or .jsonl with a field prompt",
                min_width=300,
                file_types=[".txt", ".jsonl"],
                height=170,
            )
        button = gr.Button("Score", variant="primary", elem_id="score")
        scored = gr.State(([], []))
        chart = gr.HTML(elem_id="chart")
        inputs = [pasted, file, router, threshold]
        button.click(self.score_many, inputs, [scored, chart], api_visibility="private")
        threshold.change(
            self.chart, [scored, threshold], chart,
            show_progress="hidden", trigger_mode="always_last", api_visibility="private",
        )  # fmt: skip

    def _chat(self, threshold: gr.Slider, router: gr.Dropdown) -> None:
        if not self._service.answers:
            gr.Markdown(
                "This server decides and does not answer, because it was started without models. "
                "Start it with `--strong-model` and `--weak-model` to talk to them here."
            )
            return
        chatbot = gr.Chatbot(
            label="Each answer says which model it is from", height=420, elem_id="chat",
            buttons=["copy"],
        )  # fmt: skip
        said = gr.Textbox(
            show_label=False, placeholder="Say something", submit_btn=True, elem_id="said",
            container=False,
        )  # fmt: skip
        said.submit(
            self.answer,
            [said, chatbot, router, threshold],
            [said, chatbot],
            api_visibility="private",
        )

    async def score(self, prompt: str, threshold: float) -> tuple[dict[str, Any], str]:
        """Return each router's win rate, or why there is none, and the dials that show them."""
        found: dict[str, Any] = {}
        if prompt and prompt.strip():
            for name, decider in self._fleet.deciders.items():
                try:
                    found[name] = await decider.router.awin_rate(prompt)
                except Exception as error:  # noqa: BLE001 - a router's fault is shown, not raised
                    found[name] = f"The router failed: {type(error).__name__}"
        return found, self.dials(found, threshold)

    def dials(self, win_rates: Mapping[str, Any], threshold: float) -> str:
        """Return a dial for every loaded router."""
        drawn = []
        for name in self._fleet.deciders:
            value = win_rates.get(name)
            failed = isinstance(value, str)
            drawn.append(
                dial(
                    name,
                    win_rate=None if failed else value,
                    threshold=threshold,
                    why=str(value) if failed else "",
                )
            )
        return f'<div class="dials">{"".join(drawn)}</div>'

    async def score_many(
        self, pasted: str, file: str | None, router: str | None, threshold: float
    ) -> tuple[tuple[list[str], list[float]], str]:
        """Return the prompts with their win rates, and the chart that shows them."""
        try:
            prompts = _prompts(pasted or "", file)[:MAX_PROMPTS]
        except ValueError as error:
            return ([], []), f'<p class="summary">{escape(str(error))}</p>'
        if not prompts:
            return ([], []), '<p class="summary">No prompts yet.</p>'
        win_rates = await self._fleet.decider(router).router.awin_rates(prompts)
        scored = (prompts, win_rates.tolist())
        return scored, self.chart(scored, threshold)

    def chart(self, scored: tuple[list[str], list[float]], threshold: float) -> str:
        """Return the share that goes to each model, the histogram and the first rows."""
        prompts, rates = scored
        if not prompts:
            return ""
        win_rates = np.array(rates)
        return (
            _summary(win_rates, threshold)
            + histogram(win_rates, threshold=threshold)
            + _rows(prompts, rates, threshold)
        )

    async def answer(
        self,
        said: str,
        history: list[dict[str, Any]],
        router: str | None,
        threshold: float,
    ) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the emptied input and the conversation, as the answer grows."""
        if not said.strip():
            yield "", history
            return
        history = [*history, {"role": "user", "content": said}]
        yield "", history
        name = router or self._fleet.default
        fields = {
            "model": f"router-{name}-{threshold:.6f}",
            "messages": [_message(message) for message in history],
            "stream": True,
        }
        try:
            async for heading, words in self._stream(fields):
                content = f"{heading}\n\n{words}"
                yield "", [*history, {"role": "assistant", "content": content}]
        except RouteLLMError as error:
            yield "", [*history, {"role": "assistant", "content": f"*No answer: {error}*"}]

    async def _stream(self, fields: dict[str, Any]) -> AsyncIterator[tuple[str, str]]:
        """Yield the line that names the model, and the words so far."""
        streamed = await self._service.stream(ChatRequest.model_validate(fields), fields)
        decision = streamed.decision
        rate = "" if decision.win_rate is None else f" · win rate {decision.win_rate:.3f}"
        why = "" if decision.reason == "win_rate" else f" · {decision.reason}"
        heading = f"**{decision.model}** · {decision.route}{rate}{why}"
        words, splitter = "", EventSplitter()
        try:
            async for block in streamed.events:
                for raw in splitter.feed(block):
                    words += _words(event_json(raw))
                yield heading, words
        finally:
            await streamed.events.aclose()


def _message(message: Mapping[str, Any]) -> dict[str, str]:
    """Return a message as models take it: its words, without the line that names the model."""
    content = message["content"]
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    if message["role"] == "assistant":
        content = content.partition("\n\n")[2]
    return {"role": message["role"], "content": content}


def _words(chunk: Any) -> str:
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    return "".join(choice.get("delta", {}).get("content") or "" for choice in choices or ())


def _prompts(pasted: str, file: str | None) -> list[str]:
    """Return the pasted prompts and the file's.

    Raises
    ------
    ValueError
        If a line of JSON lines has no prompt.
    """
    found = [line for line in pasted.splitlines() if line.strip()]
    if file is None:
        return found
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found.append(_prompt_of(line, number) if file.endswith(".jsonl") else line)
    return found


def _prompt_of(line: str, number: int) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError, RecursionError):
        prompt = None
    if not isinstance(prompt, str):
        raise ValueError(f"Line {number} of the file has no text in the field 'prompt'.")
    return prompt


def _summary(win_rates: WinRates, threshold: float) -> str:
    n_strong = int((win_rates >= threshold).sum())
    n = len(win_rates)
    return (
        f'<p class="summary"><b>{n_strong / n:.0%}</b> of {n} to the strong model'
        ' <span class="legend"><span class="key strong"></span>strong'
        '<span class="key weak"></span>weak</span></p>'
    )


def _rows(prompts: list[str], rates: list[float], threshold: float) -> str:
    rows = []
    for prompt, rate in list(zip(prompts, rates, strict=True))[:_SHOWN_ROWS]:
        route = "strong" if rate >= threshold else "weak"
        text = prompt if len(prompt) <= 160 else f"{prompt[:160]}…"
        rows.append(
            f'<tr><td><span class="route {route}">{route}</span></td><td>{rate:.3f}</td>'
            f"<td>{escape(text)}</td></tr>"
        )
    return f'<table class="rows">{"".join(rows)}</table>'
