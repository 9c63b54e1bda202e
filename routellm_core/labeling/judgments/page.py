"""The analysis as a page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.evaluation.report.html import document, figure, html_row, html_table
from routellm_core.evaluation.report.svg import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.labeling.agreement import Interval
    from routellm_core.labeling.judgments.analysis import Analysis
    from routellm_core.labeling.judgments.difficulty import Question
    from routellm_core.labeling.judgments.judges import KindAgreement, VoteAgreement

__all__ = ["render_analysis", "write_analysis_page"]

_WIDTH, _HEIGHT, _PAD = 280, 22, 8
_ENDS = 8
_LONGEST = 160
_BINS = 10

_READING = (
    "Two models answered a question, and a judge said whose answer is better. A question is "
    "<b>difficult</b> where a superior model's answer is preferred to an inferior one's; a tie "
    "counts one half. Few votes say little, so that each question's share is drawn towards the "
    "mean of all questions, by as much as single votes differ within questions. Intervals are of "
    "95 %."
)


def write_analysis_page(analysis: Analysis, path: str | Path) -> Path:
    """Write the page and return its path."""
    path = Path(path)
    path.write_text(render_analysis(analysis), encoding="utf-8")
    return path


def render_analysis(analysis: Analysis) -> str:
    """Return the analysis as one HTML page."""
    body = (
        f"<h1>Which questions need the superior model?</h1><p>{_READING}</p>"
        f"<p>Superior: {escape(', '.join(analysis.superior))}. Inferior: "
        f"{escape(', '.join(analysis.inferior))}. {analysis.n_votes:,} votes of "
        f"{analysis.n_judges:,} judges, {analysis.n_group_votes:,} of them between the groups; "
        f"{analysis.mean:.1%} of these are for the superior model. {_prior(analysis)}</p>"
        f"{''.join(_turn(analysis, turn) for turn in analysis.turns)}"
        f"{_categories(analysis)}<h2>Models</h2>{_models(analysis)}{_against(analysis)}"
        f"<h2>Agreement between judges</h2>{_agreement(analysis.agreement)}"
    )
    return document("Human judgments", body)


def _prior(analysis: Analysis) -> str:
    if math.isinf(analysis.prior_votes):
        return "The votes do not tell the questions apart: their order says nothing."
    return (
        f"The mean of all questions weighs as much in each as {analysis.prior_votes:.1f} votes do."
    )


def _turn(analysis: Analysis, turn: int) -> str:
    questions = [one for one in analysis.questions if one.turn == turn]
    figures = [
        figure(
            "Difficulty by rank. Dots: share of the votes, with its interval. Line: drawn towards "
            "the mean. Grey: the mean.",
            _ranking_chart(questions, analysis.mean, turn=turn),
        ),
        figure("How many questions are how difficult.", _histogram(questions, turn=turn)),
    ]
    n = min(_ENDS, len(questions) // 2)
    ends = (
        f"<h3>The hardest</h3>{_listed(questions[:n])}"
        f"<h3>The easiest</h3>{_listed(questions[len(questions) - n :][::-1])}"
        if n
        else ""
    )
    return (
        f"<h2>Turn {turn}: {len(questions):,} questions</h2>"
        f'<div class="figures">{"".join(figures)}</div>{ends}'
        f"<details><summary>All questions, the hardest first</summary>{_listed(questions)}"
        "</details>"
    )


def _ranking_chart(questions: Sequence[Question], mean: float, *, turn: int) -> str:
    chart = Chart(
        (0.0, len(questions) + 1.0),
        (0.0, 1.0),
        title=f"Difficulty of questions by rank, turn {turn}",
    )
    chart.axes(
        x_label="rank, the hardest first", y_label="votes for the superior model", percent_y=True
    )
    ranks = list(range(1, len(questions) + 1))
    chart.reference([0.0, len(questions) + 1.0], [mean, mean])
    for rank, one in zip(ranks, questions, strict=True):
        chart.interval(rank, one.superior_share.low, one.superior_share.high, series=0)
    chart.dots(ranks, [one.superior_share.value for one in questions], [2.2] * len(ranks), series=0)
    chart.line(ranks, [one.difficulty for one in questions], series=1)
    return chart.render()


def _histogram(questions: Sequence[Question], *, turn: int) -> str:
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    counts, _ = np.histogram([one.difficulty for one in questions], bins=edges)
    chart = Chart(
        (0.0, 1.0), (0.0, counts.max() * 1.08), title=f"Difficulties of questions, turn {turn}"
    )
    chart.axes(x_label="difficulty", y_label="questions", percent_x=True)
    chart.bars(edges.tolist(), counts.tolist(), series=0)
    return chart.render()


def _listed(questions: Sequence[Question]) -> str:
    rows = "".join(
        _share_row(
            f"{one.prompt[:_LONGEST]}{'…' if len(one.prompt) > _LONGEST else ''}",
            one.superior_share,
            n=one.n_votes,
            note=f"difficulty {one.difficulty:.1%}, question {one.question}"[:_LONGEST],
        )
        for one in questions
    )
    return f'<div class="domains">{rows}</div>'


def _categories(analysis: Analysis) -> str:
    if not analysis.categories:
        return ""
    rows = "".join(
        _share_row(
            one.category, one.superior_share, n=one.n_votes, note=f"{one.n_questions} questions"
        )
        for one in analysis.categories
    )
    return f'<h2>Categories</h2><div class="domains">{rows}</div>'


def _models(analysis: Analysis) -> str:
    rows = "".join(
        _share_row(
            one.model,
            one.win_rate,
            n=one.n_votes,
            note="superior" if one.model in analysis.superior
            else "inferior" if one.model in analysis.inferior
            else "in neither group",
        )
        for one in analysis.models
    )  # fmt: skip
    return f'<p>The share of its votes that each model wins.</p><div class="domains">{rows}</div>'


def _against(analysis: Analysis) -> str:
    names = [one.model for one in analysis.models]
    rows = [
        html_row(
            one.model,
            [f"{one.against[name]:.0%}" if name in one.against else "–" for name in names],
        )
        for one in analysis.models
    ]
    return (
        "<h3>Model against model</h3><p>The share of the votes that the row's model wins against "
        f"the column's.</p>{html_table(['model', *names], rows)}"
    )


def _agreement(found: VoteAgreement | None) -> str:
    if found is None:
        return "<p>No two judges voted on the same two answers.</p>"
    rows = [_agreement_row("all judges", found.all_judges)]
    rows += [_agreement_row(_kinds(one), one) for one in found.kinds]
    head = ["judges", "agreement", "without ties", "beyond chance", "pairs of votes"]
    return (
        f"<p>{found.n_items:,} pairs of answers have votes of two judges or more. Agreement is "
        "the share of equal votes among all pairs of votes of different judges. Beyond chance: "
        "Krippendorff's alpha, between two kinds of judges Cohen's kappa; 1 is perfect and 0 is "
        f"chance.</p>{html_table(head, rows)}"
    )


def _agreement_row(name: str, found: KindAgreement) -> str:
    return html_row(
        name,
        [
            _interval(found.agreement),
            _interval(found.decided_agreement),
            "–" if math.isnan(found.beyond_chance) else f"{found.beyond_chance:.2f}",
            f"{found.n_pairs:,}",
        ],
    )


def _kinds(found: KindAgreement) -> str:
    first, second = (kind or "unnamed" for kind in found.kinds)
    return first if first == second else f"{first} and {second}"


def _interval(found: Interval) -> str:
    if math.isnan(found.value):
        return "–"
    return f"{found.value:.1%}<small>{found.low:.1%} – {found.high:.1%}</small>"


def _share_row(name: str, share: Interval, *, n: int, note: str) -> str:
    """Return a name with a share on a line from 0 to 1, and its interval."""

    def place(value: float) -> float:
        return _PAD + value * (_WIDTH - 2 * _PAD)

    middle = _HEIGHT / 2
    numbers = f"{share.low:.1%} to {share.high:.1%}, {n:,} votes; {note}"
    return (
        f'<div class="domain"><div class="name"><span>{escape(name)}</span>'
        f"<span>{share.value:.1%}</span></div>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(numbers)}">'
        f'<line class="rail" x1="{_PAD}" x2="{_WIDTH - _PAD}" y1="{middle}" y2="{middle}"/>'
        f'<line class="span" x1="{place(share.low):.1f}" x2="{place(share.high):.1f}" '
        f'y1="{middle}" y2="{middle}"/>'
        f'<circle class="strong" cx="{place(share.value):.1f}" cy="{middle}" r="5"/></svg>'
        f'<div class="numbers">{escape(numbers)}</div></div>'
    )
