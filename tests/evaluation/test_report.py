"""The report's page: what its reader is told is what was measured."""

from __future__ import annotations

import re

from routellm_core.evaluation import Candidate, LoadedBenchmark, evaluate
from routellm_core.evaluation.report import render_page
from routellm_core.evaluation.report.svg import COLOURS
from routellm_core.routers import load_router

ROW = r'<tr class="{css}"><th scope="row">{name}</th>(.*?)</tr>'
STROKE = r'stroke="([^"]*)"[^>]*stroke-dasharray="([^"]*)"'


def candidates(n: int) -> list[Candidate]:
    return [Candidate(f"router {index}", load_router("random")) for index in range(n)]


def row(page: str, name: str, *, css: str = "") -> list[str]:
    """Return the cells of the first row of a name."""
    found = re.search(ROW.format(css=css, name=name), page)
    assert found is not None
    return re.findall(r"<td>(.*?)</td>", found[1])


def test_the_quality_of_a_router_is_that_at_half_strong_calls_on_held_out_prompts(
    small: LoadedBenchmark,
) -> None:
    results = evaluate(candidates(1), [small], rounds=5)
    (point,) = [
        point for point in results.benchmarks[0].routers[0].measurement.shares if point.asked == 0.5
    ]
    assert point.quality.low is not None
    assert point.quality.high is not None
    interval = f"<small>{point.quality.low:.1%} – {point.quality.high:.1%}</small>"
    cell = row(render_page(results), "router 0")[4]
    assert cell == f"{point.quality.value:.1%}{interval}"


def test_every_row_of_the_first_table_has_a_cell_for_every_column(small: LoadedBenchmark) -> None:
    page = render_page(evaluate(candidates(1), [small], rounds=5))
    head = re.findall(r'<th scope="col">', page[: page.index("<tbody>")])
    names = [("router 0", ""), ("all weak", "baseline"), ("oracle", "baseline")]
    assert {1 + len(row(page, name, css=css)) for name, css in names} == {len(head)}


def test_each_of_many_routers_has_a_line_of_its_own_and_the_legend_shows_it(
    small: LoadedBenchmark,
) -> None:
    n = 2 * COLOURS + 1
    page = render_page(evaluate(candidates(n), [small], rounds=1))
    keys = re.findall(f'<svg class="key"[^>]*><path [^>]*{STROKE}', page)
    chart = page[page.index("<figure>") : page.index("</figure>")]
    lines = re.findall(f"<polyline points[^>]*{STROKE}", chart)
    assert len(set(keys)) == n
    assert keys == lines
