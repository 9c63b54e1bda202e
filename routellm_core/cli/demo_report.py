"""What the demonstration shows of its answers: decisions, reasons, and an estimate of costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core.cli.display import bar, fitted, one_line, rate, route_name
from routellm_core.monitoring import Price, price_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console
    from rich.table import Table

    from routellm_core.cli.demo_models import Answer, Tier
    from routellm_core.cli.demo_prompts import DemoPrompt
    from routellm_core.types import ModelPair

__all__ = ["Costs", "Run", "estimated_tokens", "print_run"]


@dataclass(frozen=True, slots=True)
class Costs:
    """What all answered calls cost, in US dollars, as routed and with one model for all."""

    routed_usd: float
    all_strong_usd: float
    all_weak_usd: float

    @property
    def saved(self) -> float:
        """The share of the all-strong costs that routing saves; negative when it costs more."""
        return 1.0 - self.routed_usd / self.all_strong_usd if self.all_strong_usd else 0.0


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: a quarter of its UTF-8 bytes, rounded up.

    Examples
    --------
    >>> estimated_tokens("Hello, world!"), estimated_tokens("你好")
    (4, 2)
    """
    return math.ceil(len(text.encode("utf-8", "replace")) / 4)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished demonstration.

    Parameters
    ----------
    framework
        "langchain" or "llamaindex".
    router, pair, threshold
        What decided, and for which models it was fitted.
    strong, weak
        The two models.
    answer_tokens
        Length of an answer in tokens, where the model did not report it.
    rows
        Every prompt with its answer, in order.
    """

    framework: str
    router: str
    pair: ModelPair | None
    threshold: float
    strong: Tier
    weak: Tier
    answer_tokens: int
    rows: tuple[tuple[DemoPrompt, Answer], ...]

    @property
    def measured(self) -> bool:
        """Whether every answer came with the model's own token counts."""
        return all(
            answer.input_tokens is not None and answer.output_tokens is not None
            for _, answer in self.rows
            if answer.record
        )

    def n_routed(self, route: str, *, level: str | None = None) -> int:
        """Return how many prompts, of one level or all, took a route."""
        return sum(
            1
            for prompt, answer in self.rows
            if answer.record
            and answer.record["route"] == route
            and (level is None or prompt.level == level)
        )

    def costs(self) -> Costs | None:
        """Return the costs, or None when a price is unknown or nothing was answered."""
        strong, weak = price_of(self.strong.name), price_of(self.weak.name)
        calls = [(prompt.text, answer) for prompt, answer in self.rows if answer.record]
        if strong is None or weak is None or not calls:
            return None
        lengths = self._lengths()
        if self.is_one_model and len(lengths) < 2:
            return None
        return Costs(
            routed_usd=sum(
                self._cost(text, answer, weak if answer.record["route"] == "weak" else strong)
                for text, answer in calls
                if answer.record
            ),
            all_strong_usd=sum(
                self._cost(text, answer, strong, more=self._more("strong", answer, lengths))
                for text, answer in calls
            ),
            all_weak_usd=sum(
                self._cost(text, answer, weak, more=self._more("weak", answer, lengths))
                for text, answer in calls
            ),
        )

    @property
    def is_one_model(self) -> bool:
        """Whether the two differ in nothing but how much they think."""
        return self.strong.name == self.weak.name

    def _lengths(self) -> dict[str, float]:
        """Return the mean tokens of each model's answers, by route."""
        counts: dict[str, list[int]] = {}
        for _, answer in self.rows:
            if answer.record and answer.output_tokens is not None:
                counts.setdefault(answer.record["route"], []).append(answer.output_tokens)
        return {route: sum(known) / len(known) for route, known in counts.items()}

    def _more(self, route: str, answer: Answer, lengths: Mapping[str, float]) -> float:
        """Return how many more tokens than an answer's own another effort is taken to write."""
        if not self.is_one_model or not answer.record:
            return 0.0
        return lengths[route] - lengths[answer.record["route"]]

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the run as JSON objects: one per prompt, and the summary."""
        for prompt, answer in self.rows:
            yield {
                "prompt": prompt.text,
                "language": prompt.language or None,
                "level": prompt.level,
                "answer": answer.text,
                "error": answer.error,
                **(answer.record or {}),
            }
        costs = self.costs()
        yield {
            "summary": True,
            "framework": self.framework,
            "router": self.router,
            "threshold": self.threshold,
            "strong": self.strong.label,
            "weak": self.weak.label,
            "stand_ins": self.strong.stand_in,
            "n_strong": self.n_routed("strong"),
            "n_weak": self.n_routed("weak"),
            "tokens": "reported" if self.measured else "estimated",
            "routed_usd": costs and costs.routed_usd,
            "all_strong_usd": costs and costs.all_strong_usd,
            "all_weak_usd": costs and costs.all_weak_usd,
            "saved": costs and costs.saved,
        }

    def _cost(self, text: str, answer: Answer, price: Price, *, more: float = 0.0) -> float:
        read = estimated_tokens(text) if answer.input_tokens is None else answer.input_tokens
        written = self.answer_tokens if answer.output_tokens is None else answer.output_tokens
        return price.cost_usd(input_tokens=read, output_tokens=max(0.0, written + more))


def print_run(run: Run, console: Console) -> None:
    """Print what a person wants to know of a run."""
    chain = {
        "langchain": "prompt | RoutedChatModel | parser  (LangChain)",
        "llamaindex": "RoutedLLM.chat  (LlamaIndex)",
    }[run.framework]
    console.print(f"\n[bold]{chain}[/]")
    console.print(f"router {run.router!r}: strong from win rate {run.threshold:.3g}")
    if run.pair:
        console.print(f"fitted for {run.pair.strong} / {run.pair.weak}")
    for route, tier in (("strong", run.strong), ("weak", run.weak)):
        line = route_name(f"{route:<6}").append(f"  {tier.label}", style="not bold default")
        if tier.stand_in:
            line.append("  offline STAND-IN, canned answers", style="not bold yellow")
        console.print(line)
    console.print()
    console.print(_table(run, width=console.width))
    _print_answers(run, console)
    _print_counts(run, console)
    _print_costs(run, console)


def _table(run: Run, *, width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    built_in = any(prompt.language for prompt, _ in run.rows)
    reasons = [answer.record["reason"] if answer.record else "failed" for _, answer in run.rows]
    # Two cells follow every column.
    others = [*([2, 4] if built_in else []), 15, 6, max(map(len, ["reason", *reasons])), 0]
    prompt_width = width - sum(others) - 2 * len(others)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in (["", ""] if built_in else []) + ["win rate", "route", "reason", "prompt"]:
        table.add_column(name, no_wrap=True)
    for (prompt, answer), reason in zip(run.rows, reasons, strict=True):
        win_rate = answer.record["win_rate"] if answer.record else None
        table.add_row(
            *([prompt.language, prompt.level] if built_in else []),
            f"{bar(win_rate)} {rate(win_rate)}" if answer.record else "",
            route_name(answer.record["route"]) if answer.record else "",
            Text(reason, style="" if answer.record else "red"),
            Text(fitted(prompt.text, max(10, prompt_width))),
        )
    return table


def _print_answers(run: Run, console: Console) -> None:
    """Print the first answer of each route, as a proof that the chain ran to its end."""
    console.print()
    for route in ("strong", "weak"):
        for _, answer in run.rows:
            if answer.record and answer.record["route"] == route:
                text = (
                    route_name(route)
                    .append(": ")
                    .append(one_line(answer.text), style="not bold default")
                )
                console.print(text, no_wrap=True, overflow="ellipsis")
                break


def _print_counts(run: Run, console: Console) -> None:
    n_strong, n_weak = run.n_routed("strong"), run.n_routed("weak")
    n = n_strong + n_weak
    if not n:
        return
    console.print(f"\n{n} prompts: {n_strong} to strong, {n_weak} to weak")
    hard, easy = (
        sum(prompt.level == level for prompt, _ in run.rows) for level in ("hard", "easy")
    )
    if hard and easy:
        console.print(
            f"{run.n_routed('strong', level='hard')} of {hard} hard ones to strong, "
            f"{run.n_routed('weak', level='easy')} of {easy} easy ones to weak"
        )
        console.print("An illustration, not a benchmark: docs/results.md has those.", style="dim")


def _print_costs(run: Run, console: Console) -> None:
    costs = run.costs()
    if costs is None:
        if run.is_one_model and len(run._lengths()) < 2:
            console.print("Both efforts must have answered, and counted tokens: no estimate.")
        unknown = [t.name for t in (run.strong, run.weak) if price_of(t.name) is None]
        if unknown:
            console.print(f"No price is known for {' and '.join(unknown)}: no estimate.")
        return
    n = run.n_routed("strong") + run.n_routed("weak")
    scale = 1000 / n
    console.print("\n[bold]Estimated cost of 1,000 such calls[/]")
    for label, usd in (
        ("all strong", costs.all_strong_usd),
        ("routed", costs.routed_usd),
        ("all weak", costs.all_weak_usd),
    ):
        saved = f"  {_compared(costs.saved)} all strong" if label == "routed" else ""
        console.print(f"  {label:<10}  {usd * scale:>9.4f} USD[green]{saved}[/]")
    other = (
        "the other effort is taken to write as many more as it does on average"
        if run.is_one_model
        else "the other model is taken to use as many"
    )
    tokens = (
        f"Tokens as the models reported them; {other}."
        if run.measured
        else f"Tokens estimated: a quarter of a prompt's bytes, {run.answer_tokens} per answer."
    )
    console.print(
        f"Prices of {run.strong.label} and {run.weak.label}: LiteLLM's table, as installed.",
        style="dim",
    )
    console.print(tokens, style="dim")


def _compared(saved: float) -> str:
    return f"{abs(saved):.0%} {'less' if saved >= 0.0 else 'more'} than"
