"""`routellm replay`: what a log's calls would have cost under other settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core._numbers import check_fraction
from routellm_core.cli.console import print_json, results
from routellm_core.cli.monitor import records_of, report_bad_records
from routellm_core.cli.settings import CheckpointOption, open_router
from routellm_core.cli.strategies import VerifierUsdOption, check_strategy
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.monitoring.replay import Bill, Replay

__all__ = ["replay"]


def replay(
    log: Annotated[str, typer.Argument(metavar="LOG", help="The JSONL log of a `Monitor`.")],
    *,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            "-t",
            metavar="RATE",
            help="Win rates from this one on go to the strong model. By default each call's own.",
        ),
    ] = None,
    strong_share: Annotated[
        float | None,
        typer.Option(
            "--strong-share",
            "-s",
            metavar="SHARE",
            help="The threshold that sends this share of the log's calls there.",
        ),
    ] = None,
    router: Annotated[
        str | None,
        typer.Option(
            "--router",
            "-r",
            metavar="NAME",
            help="Score the prompts with this router; the log must hold them.",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Price the calls as a strategy instead: cascade."),
    ] = None,
    accept: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="The cascade's level, for calls with a logged score."),
    ] = None,
    accept_rate: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The share of weak answers that the cascade accepts, for calls without a score: "
            "1 less what `routellm calibrate --strategy` calls rejected.",
        ),
    ] = None,
    verifier_usd: VerifierUsdOption = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Answer what a log's calls would have cost under another threshold, share or router.

    Without options it checks that every stored decision follows from its stored win rate.
    """
    from routellm_core.calibration import check_share
    from routellm_core.monitoring import LogReader, Pricing
    from routellm_core.monitoring.replay import replay as run
    from routellm_core.policy import check_threshold

    if accept_rate is not None:
        check_fraction(accept_rate, name="accept_rate", within="[0, 1]")
    if strategy is not None:
        others = (threshold, strong_share, router, checkpoint)
        if any(other is not None for other in others):
            raise ConfigurationError("`--strategy` is priced without a threshold or a router.")
        check_strategy(strategy, ("cascade",))
        _cascade(log, accept=accept, rate=accept_rate, verifier_usd=verifier_usd, as_json=json)
        return
    if accept is not None or accept_rate is not None:
        raise ConfigurationError("`--accept` and `--accept-rate` are read with `--strategy` only.")
    if threshold is not None and strong_share is not None:
        raise ConfigurationError("Pass `--threshold` or `--strong-share`, not both.")
    if threshold is not None:
        threshold = check_threshold(threshold)
    if strong_share is not None:
        check_share(strong_share)
    scorer = None
    if router is not None or checkpoint is not None:
        scorer = open_router(router, checkpoint=checkpoint)
    reader = LogReader(log)
    found = run(
        records_of(reader, log),
        pricing=Pricing(),
        threshold=threshold,
        strong_share=strong_share,
        router=scorer,
    )
    if json:
        print_json(asdict(found))
    else:
        _show(found)
    report_bad_records(reader, log)


def _cascade(
    log: str, *, accept: float | None, rate: float | None, verifier_usd: float, as_json: bool
) -> None:
    from routellm_core.monitoring import LogReader, Pricing
    from routellm_core.monitoring.strategy_replay import replay_cascade

    if accept is None and rate is None:
        raise ConfigurationError("`--strategy` needs `--accept`, `--accept-rate`, or both.")
    reader = LogReader(log)
    found = replay_cascade(
        records_of(reader, log),
        pricing=Pricing(),
        accept=accept,
        accept_rate=rate,
        verifier_usd=verifier_usd,
    )
    if as_json:
        print_json(asdict(found))
    else:
        console = results()
        console.print(
            f"{found.n_calls:,} calls, {found.n_scored:,} with a score in the log; the others are "
            f"priced with the stated rate. {found.n_unpriced:,} have no known price.",
            soft_wrap=True,
        )
        for name, usd in (
            ("as it was", found.actual_usd),
            (f"cascade, {found.accepted:.1%} accepted", found.cascade_usd),
            ("all strong", found.strong_usd),
            ("all weak", found.weak_usd),
        ):
            console.print(f"  {name:32}{usd:>14,.4f} USD", markup=False)
        console.print(f"All-strong is cheaper below {found.break_even:.1%} accepted.")
    report_bad_records(reader, log)


def _show(found: Replay) -> None:
    from rich.table import Table

    console = results()
    console.print(
        f"{found.n_calls:,} calls, {found.n_scored:,} decided by a win rate; "
        f"{found.n_reproduced:,} of {found.n_calls:,} stored decisions reproduced."
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("", "strong share", "cost USD", "saved USD"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_row("as it was", *_figures(found.actual, found.n_calls))
    name = "replayed" if found.threshold is None else f"at threshold {found.threshold:.4g}"
    table.add_row(name, *_figures(found.replayed, found.n_calls))
    console.print(table)
    difference = found.replayed.cost_usd - found.actual.cost_usd
    more = "more" if difference >= 0.0 else "less"
    console.print(
        f"{found.n_moved:,} calls go elsewhere; the bill is {abs(difference):,.4f} USD {more}."
    )
    if found.n_unpriced:
        console.print(f"{found.n_unpriced:,} calls have no known price and are in no bill.")


def _figures(bill: Bill, n_calls: int) -> tuple[str, str, str]:
    return (
        f"{bill.n_strong / n_calls:.1%}",
        f"{bill.cost_usd:,.4f}",
        f"{bill.saved_usd:,.4f}",
    )
