"""`routellm chat`: talk to a pair of models, and see which of them answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from routellm_core.cli.console import notes, results
from routellm_core.cli.failures import misconfigured, provider_words
from routellm_core.cli.settings import StrongShareOption, ThresholdOption
from routellm_core.errors import EmptyAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from routellm_core.controller import Controller
    from routellm_core.types import Decision

__all__ = ["chat"]

_COLOURS = {"strong": "magenta", "weak": "cyan"}


def chat(
    *,
    strong_model: Annotated[
        str,
        typer.Option(
            "--strong-model",
            "--strong",
            metavar="NAME",
            help="The strong model, as LiteLLM names it.",
        ),
    ],
    weak_model: Annotated[
        str,
        typer.Option("--weak-model", "--weak", metavar="NAME", help="The weak model."),
    ],
    router: Annotated[
        str,
        typer.Option(
            "--router",
            "-r",
            metavar="NAME",
            help="Which router decides: a name, a checkpoint's folder, 'owner/name' on the Hugging "
            "Face Hub, or NAME=CHECKPOINT.",
        ),
    ] = "mf",
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Options by router, in YAML.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where both models are.")
    ] = None,
    strong_base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the strong model is.")
    ] = None,
    weak_base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the weak model is.")
    ] = None,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the models are told first.")
    ] = None,
    threshold: ThresholdOption = None,
    strong_share: StrongShareOption = None,
) -> None:
    """Talk to both models as if they were one; each answer says which of them it comes from.

    Keys come from the providers' environment variables. `/new` begins another conversation,
    `/quit` or Ctrl-D ends.
    """
    from routellm_core.controller import Controller

    controller = Controller(
        [router],
        strong_model,
        weak_model,
        config=config,
        api_base=base_url,
        strong_api_base=strong_base_url,
        weak_api_base=weak_base_url,
        threshold=threshold,
        strong_share=strong_share,
    )
    _talk(controller, _beginning(system))


def _talk(controller: Controller, messages: list[dict[str, str]]) -> None:
    """Read a line, answer it, and so on."""
    console = results()
    beginning = list(messages)
    for line in _lines(console):
        if line == "/new":
            messages = list(beginning)
            notes().print("A new conversation.")
            continue
        messages.append({"role": "user", "content": line})
        answer = _answer(controller, messages, console)
        if answer is None:
            messages.pop()
        else:
            messages.append({"role": "assistant", "content": answer})


def _lines(console: Console) -> Iterator[str]:
    """Yield what the user says, until they end."""
    while True:
        try:
            line = console.input("[bold]> [/]").strip()
        except EOFError:
            return
        if line == "/quit":
            return
        if line:
            yield line


def _answer(controller: Controller, messages: list[dict[str, str]], console: Console) -> str | None:
    """Print an answer as it comes, and return it; None when there is none.

    A fault that every call to the model would meet, such as a missing key, ends the chat.
    """
    from routellm_core._optional import require
    from routellm_core.policy import fault_of

    provider_error = require("openai", extra="litellm").OpenAIError
    words: list[str] = []
    try:
        with controller.completion(model="auto", messages=messages, stream=True) as stream:
            console.print(_heading(stream.decision))
            for chunk in stream:
                word = _word(chunk)
                words.append(word)
                console.print(word, end="", markup=False, highlight=False, soft_wrap=True)
        console.print()
    except (provider_error, EmptyAnswerError) as error:
        console.print()
        if fault_of(error) == "configuration":
            raise misconfigured(error) from error
        said = f"{type(error).__name__}: {provider_words(error)}"
        notes().print(f"[bold red]No answer:[/] {_escaped(said)}", soft_wrap=True)
        return None
    return "".join(words)


def _heading(decision: Decision) -> str:
    colour = _COLOURS.get(decision.route, "white")
    rate = "" if decision.win_rate is None else f", win rate {decision.win_rate:.2f}"
    limit = "" if decision.threshold is None else f", threshold {decision.threshold:.2f}"
    why = "" if decision.reason == "win_rate" else f", {decision.reason}"
    return f"[{colour}]{decision.route}[/] [dim]{_escaped(decision.model)}{rate}{limit}{why}[/]"


def _word(chunk: Any) -> str:
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def _escaped(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))


def _beginning(system: str | None) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}] if system else []
