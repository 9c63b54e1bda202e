"""`routellm route`: decide for many prompts, in a table or as JSON lines."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.prompts import NumberedPrompt, PromptReader, json_field, plain_text
from routellm_core.cli.settings import (
    CheckpointOption,
    RouterOption,
    StrongModelOption,
    StrongShareOption,
    ThresholdOption,
    WeakModelOption,
    open_decider,
    open_router,
)
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from rich.progress import Progress

    from routellm_core.policy import Decider
    from routellm_core.types import Decision

__all__ = ["route"]

_HEADER = "route   win rate  prompt"
_INDENT = "route   win rate  "
_JSONL = (".jsonl", ".ndjson")


def route(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="Prompts. Without any, they come from stdin."),
    ] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help="Read one prompt per line, or JSON lines from `*.jsonl`; `-` is stdin.",
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="The input is JSON lines, whatever its name.")
    ] = False,
    field: Annotated[
        str, typer.Option(metavar="NAME", help="The field of each JSON line that is the prompt.")
    ] = "prompt",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first line that holds no prompt.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per prompt instead of a table.")
    ] = False,
    router: RouterOption = None,
    checkpoint: CheckpointOption = None,
    strong_model: StrongModelOption = None,
    weak_model: WeakModelOption = None,
    threshold: ThresholdOption = None,
    strong_share: StrongShareOption = None,
) -> None:
    """Show where prompts would go, without calling a model.

    Input of any length streams through in constant memory. Lines that hold no prompt are counted
    and reported on stderr.
    """
    if prompts and (file is not None or jsonl):
        raise ConfigurationError("Pass prompts as arguments or as a file, not both.")
    decider = open_decider(
        open_router(
            router, checkpoint=checkpoint, strong_model=strong_model, weak_model=weak_model
        ),
        threshold=threshold,
        strong_share=strong_share,
    )
    write = _JsonLines() if json else _Table(decider)
    if prompts:
        write.rows(_decide(decider, [NumberedPrompt(i, p) for i, p in enumerate(prompts, 1)]))
        write.end()
        return
    with _open(file) as stream:
        reader = PromptReader(
            stream,
            parse=json_field(field) if jsonl or _is_jsonl(file) else plain_text,
            strict=strict,
            source=_name(file),
        )
        for batch in _with_progress(reader, file):
            write.rows(_decide(decider, batch))
            sys.stdout.flush()
    write.end()
    _report_bad_lines(reader)


def _decide(
    decider: Decider, batch: list[NumberedPrompt]
) -> Iterator[tuple[NumberedPrompt, Decision]]:
    """Decide as the policy does, except that a router's failure is the command's own."""
    from routellm_core.policy import Turn

    policy = decider.policy
    early = [policy.before_scoring(Turn(text=prompt.text)) for prompt in batch]
    win_rates = iter(
        decider.router.win_rates(
            [p.text for p, decision in zip(batch, early, strict=True) if decision is None]
        ).tolist()
    )
    for prompt, decision in zip(batch, early, strict=True):
        yield prompt, decision or policy.after_scoring(next(win_rates))


class _JsonLines:
    """Write decisions for a machine."""

    def rows(self, decided: Iterable[tuple[NumberedPrompt, Decision]]) -> None:
        for prompt, decision in decided:
            print_json({"line": prompt.line, "prompt": prompt.text, **decision.record()})

    def end(self) -> None:
        pass


class _Table:
    """Write decisions for a person, each as soon as it is made, and count them."""

    def __init__(self, decider: Decider) -> None:
        self._policy = decider.policy
        self._console = results()
        self._n = {"strong": 0, "weak": 0}

    def rows(self, decided: Iterable[tuple[NumberedPrompt, Decision]]) -> None:
        from rich.segment import Segment, Segments
        from rich.style import Style

        from routellm_core.cli.display import fitted, rate, route_style

        # A rich.Table would lay out every row anew, ten times slower.
        width = self._console.width - len(_INDENT)
        segments = [] if any(self._n.values()) else [Segment(_HEADER + "\n", Style(bold=True))]
        for prompt, decision in decided:
            self._n[decision.route] += 1
            reason = "" if decision.reason == "win_rate" else f"({decision.reason}) "
            segments += (
                Segment(f"{decision.route:<8}", route_style(decision.route)),
                Segment(f"{rate(decision.win_rate):>8}  {fitted(reason + prompt.text, width)}\n"),
            )
        self._console.print(Segments(segments), end="")

    def end(self) -> None:
        n = sum(self._n.values())
        if n == 0:
            notes().print("No prompts.")
            return
        strong, weak, policy = self._n["strong"], self._n["weak"], self._policy
        self._console.print(
            f"\n{n:,} prompt{'' if n == 1 else 's'}: {strong:,} strong ({strong / n:.0%}), "
            f"{weak:,} weak ({weak / n:.0%})\n"
            f"router {policy.router!r}: strong from win rate {policy.threshold:.3g}",
        )
        if policy.strong_model != "strong":
            self._console.print(f"strong is {policy.strong_model}, weak is {policy.weak_model}")


def _open(file: str | None) -> AbstractContextManager[BinaryIO]:
    if file not in (None, "-"):
        try:
            return Path(str(file)).open("rb")
        except OSError as error:
            raise ConfigurationError(f"Cannot read {file!r}: {error.strerror}.") from error
    if file is None and sys.stdin.isatty():
        raise ConfigurationError(
            "No prompts. Pass them as arguments, with `--file`, or through a pipe."
        )
    return nullcontext(sys.stdin.buffer)


def _is_jsonl(file: str | None) -> bool:
    return file is not None and file.lower().endswith(_JSONL)


def _name(file: str | None) -> str:
    return "stdin" if file in (None, "-") else repr(file)


def _with_progress(reader: PromptReader, file: str | None) -> Iterator[list[NumberedPrompt]]:
    """Yield the reader's batches; draw a bar when somebody sees it and it is in nobody's way."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from reader
        return
    total = None if file in (None, "-") else Path(str(file)).stat().st_size
    n = 0
    with _progress() as progress:
        task = progress.add_task("", total=total or None, prompts="")
        for batch in reader:
            yield batch
            n += len(batch)
            progress.update(task, completed=reader.n_bytes, prompts=f"{n:,} prompts")


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("Routing"),
        BarColumn(),
        TextColumn("{task.fields[prompts]}"),
        TimeRemainingColumn(),
        console=notes(),
        # rich would otherwise write the results to the bar's terminal, above the bar.
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _report_bad_lines(reader: PromptReader) -> None:
    if not reader.n_bad:
        return
    say = notes().print
    many = reader.n_bad > 1
    say(f"Left out {reader.n_bad:,} line{'s' * many} of {reader.source} without a prompt:")
    for bad in reader.first_bad:
        say(f"  line {bad.line}: {bad.why}", markup=False, soft_wrap=True)
    if reader.n_bad > len(reader.first_bad):
        say(f"  and {reader.n_bad - len(reader.first_bad):,} more")
