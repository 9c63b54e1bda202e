"""How `routellm calibrate` shows what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.cli.console import notes, results

if TYPE_CHECKING:
    from routellm_core.evaluation.probability_gain import ProbabilityGain

__all__ = ["FoundThreshold", "show_thresholds", "tell_of_no_map"]


@dataclass(frozen=True, slots=True)
class FoundThreshold:
    """One target, and the threshold for it."""

    target: str
    threshold: float
    strong_share: float
    low: float
    high: float
    n_prompts: int
    note: str
    warning: str


def tell_of_no_map(gain: ProbabilityGain) -> None:
    """Say why no map to probabilities is stored."""
    other = "isotonic" if gain.method == "platt" else "platt"
    notes().print(
        "The map to probabilities is not stored: it does not lower the Brier score on "
        f"{gain.n_held_out:,} held-out prompts. Bring more outcomes, or try `--method {other}`.",
        markup=False,
        soft_wrap=True,
    )


def show_thresholds(
    found: list[FoundThreshold], gain: ProbabilityGain | None, *, n: int, name: str
) -> None:
    """Print a table of thresholds, and what the map to probabilities does."""
    from rich.table import Table

    console = results()
    console.print(f"Router {name!r}, {n:,} prompts.\n")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("target")
    for title in ("threshold", "strong share", "interval"):
        table.add_column(title, justify="right")
    table.add_column("")
    for row in found:
        interval = f"{row.low:.1%} to {row.high:.1%}"
        share = f"{row.strong_share:.1%}"
        table.add_row(row.target, f"{row.threshold:.6f}", share, interval, row.note)
    console.print(table)
    if gain is not None:
        console.print(
            f"\nWin rates as probabilities ({gain.method}), on {gain.n_held_out:,} held-out "
            "prompts:"
        )
        for label, before, after in (
            ("ECE", gain.before.ece, gain.after.ece),
            ("Brier", gain.before.brier, gain.after.brier),
            ("NLL", gain.before.nll, gain.after.nll),
        ):
            console.print(f"  {label:6}{before:.4f} → {after:.4f}")
