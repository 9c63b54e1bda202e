"""`routellm route`: decide for many prompts, in a table or as JSON lines."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.prompts import NumberedPrompt, PromptReader
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
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, BinaryIO

    from rich.progress import Progress

    from routellm_core.data.formats import NumberedRow
    from routellm_core.policy import Decider
    from routellm_core.types import Decision

__all__ = ["route"]

_HEADER = "route   win rate  prompt"
_INDENT = "route   win rate  "


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
            help="Read prompts: one a line, or the rows of .jsonl, .json, .csv, .tsv or .parquet, "
            "also in .gz, .bz2 or .xz; `-` is stdin.",
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="The input is JSON lines, whatever its name.")
    ] = False,
    field: Annotated[
        str | None,
        typer.Option(
            "--field",
            "--column",
            metavar="NAME",
            help="The field or column that is the prompt; use dots for nested fields. By default "
            "`prompt`, `messages`, `question` and the like.",
            show_default=False,
        ),
    ] = None,
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

    Lines and CSV of any length stream through in constant memory. Rows that hold no prompt are
    counted and reported on stderr; when no row holds one, the exit code is 1.
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
    with _opened(file, jsonl=jsonl, field=field) as source:
        reader = PromptReader(
            source.rows, prompt_of=_prompt_at(field), strict=strict, source=source.name
        )
        for batch in _with_progress(reader, source):
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
        self._scale = decider.router.scale
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
        strong, weak, policy = self._n["strong"], self._n["weak"], self._policy
        self._console.print(
            f"\n{n:,} prompt{'' if n == 1 else 's'}: {strong:,} strong ({strong / n:.0%}), "
            f"{weak:,} weak ({weak / n:.0%})\n"
            f"router {policy.router!r}: strong from win rate {policy.threshold:.3g}"
            + (
                f", above {policy.threshold:.0%} of typical prompts"
                if self._scale == "percentile"
                else ""
            ),
            soft_wrap=True,
        )
        if policy.strong_model != "strong":
            self._console.print(f"strong is {policy.strong_model}, weak is {policy.weak_model}")


@dataclass(frozen=True, slots=True)
class _Source:
    """Where prompts come from."""

    rows: Iterable[list[NumberedRow]]
    name: str
    file: BinaryIO | None = None
    """The file as it lies on the disk, to see how much of it was read."""


@contextmanager
def _opened(file: str | None, *, jsonl: bool, field: str | None) -> Iterator[_Source]:
    """Open what `--file` names: a file of rows or of lines, a data set, or stdin."""
    from routellm_core.data.files import decompressed, format_of
    from routellm_core.data.formats import TEXT_FORMATS
    from routellm_core.data.rows import row_batches, stream_batches

    if file in (None, "-"):
        if file is None and sys.stdin.isatty():
            raise ConfigurationError(
                "No prompts. Pass them as arguments, with `--file`, or through a pipe."
            )
        stream = decompressed(sys.stdin.buffer, name="stdin")
        suffix = ".jsonl" if jsonl or field is not None else ".txt"
        yield _Source(stream_batches(stream, suffix, name="stdin"), "stdin")
        return
    path, name = Path(str(file)), repr(file)
    if format_of(path) == ".parquet":
        yield _Source(row_batches(path), name)
        return
    try:
        opened = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file!r}: {error.strerror}.") from error
    with opened:
        suffix = ".jsonl" if jsonl else format_of(path)
        stream = decompressed(opened, name=name)
        # A name without a known suffix is one of plain text.
        rows = stream_batches(stream, suffix if suffix in TEXT_FORMATS else ".txt", name=name)
        yield _Source(rows, name, opened)


def _prompt_at(field: str | None) -> Callable[[Mapping[str, Any]], str]:
    from routellm_core.evaluation.logged_calls import prompt_of

    return lambda row: prompt_of(row, field)[0]


def _with_progress(reader: PromptReader, source: _Source) -> Iterator[list[NumberedPrompt]]:
    """Yield the reader's batches; draw a bar when somebody sees it and it is in nobody's way."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from reader
        return
    file, n = source.file, 0
    total = None if file is None else os.fstat(file.fileno()).st_size
    with _progress() as progress:
        task = progress.add_task("", total=total or None, prompts="")
        for batch in reader:
            yield batch
            n += len(batch)
            done = 0 if file is None else file.tell()
            progress.update(task, completed=done, prompts=f"{n:,} prompts")


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
    if not reader.bad.n:
        return
    notes().print(f"{reader.source}: {reader.bad.report(reader.n)}", markup=False, soft_wrap=True)
