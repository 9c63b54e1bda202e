"""`routellm routers`: what can score prompts here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from routellm_core.cli.console import print_json, results
from routellm_core.errors import RouteLLMError

__all__ = ["routers"]


@dataclass(frozen=True, slots=True)
class _Row:
    router: str
    summary: str
    extra: str | None
    installed: bool
    ready: bool
    """Whether the name alone gives a router, without a checkpoint."""
    calibrated: bool
    strong_model: str | None
    weak_model: str | None
    note: str | None


def routers(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per router instead of a table.")
    ] = False,
) -> None:
    """List the routers: what each does, and whether it is ready to use here."""
    from routellm_core.routers import router_names

    rows = [_look_at(name) for name in router_names()]
    if json:
        for row in rows:
            print_json(asdict(row))
    else:
        _show(rows)


def _look_at(name: str) -> _Row:
    from routellm_core._optional import missing_modules
    from routellm_core.routers import router_class, router_extra

    extra = router_extra(name)
    missing = missing_modules(extra) if extra else []
    try:
        found = router_class(name)
    except RouteLLMError as error:
        return _Row(name, "", extra, not missing, False, False, None, None, str(error))
    summary = (found.__doc__ or "").strip().partition("\n")[0]
    if missing:
        note = f"pip install 'routellm-plugins[{extra}]'"
        return _Row(name, summary, extra, False, False, False, None, None, note)
    try:
        router = found.default()
    except (RouteLLMError, TypeError):
        return _Row(name, summary, extra, True, False, False, None, None, "needs a checkpoint")
    pair = router.pair
    return _Row(
        router=name,
        summary=summary,
        extra=extra,
        installed=True,
        ready=True,
        calibrated=router.calibration is not None,
        strong_model=pair.strong if pair else None,
        weak_model=pair.weak if pair else None,
        note=None,
    )


def _show(rows: list[_Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    from routellm_core.cli.display import one_line

    table = Table(box=None, padding=(0, 2, 1, 0), header_style="bold", expand=True)
    table.add_column("router", no_wrap=True)
    table.add_column("what it does", ratio=1)
    table.add_column("state here", ratio=1)
    for row in rows:
        table.add_row(
            Text(row.router, style="bold"),
            Text(one_line(row.summary)),
            Text(_state(row), style="green" if row.ready else "yellow"),
        )
    results().print(table)


def _state(row: _Row) -> str:
    if row.note:
        return row.note
    pair = f", for {row.strong_model} / {row.weak_model}" if row.strong_model else ", for any pair"
    return f"ready{', calibrated' if row.calibrated else ''}{pair}"
