"""`routellm analyze`: from people's votes to difficult questions, examples and a test set."""

from __future__ import annotations

import json as json_module
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core._numbers import check_fraction
from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.label_display import share_text
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from routellm_core.labeling.judgments import Analysis, Judgments, LabelSplit
    from routellm_core.labeling.judgments.difficulty import Question
    from routellm_core.labeling.judgments.judges import KindAgreement

__all__ = ["analyze"]

_ENDS = 5
_LONGEST = 60


def analyze(
    judgments: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Votes on pairs of answers, as `lmsys/mt_bench_human_judgments` has them "
            "(question_id, model_a, model_b, winner, judge, conversation_a, turn): .jsonl, .json, "
            ".csv, .parquet, or a data set's name on the Hugging Face Hub.",
        ),
    ],
    *,
    superior: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Models of the superior group, separated by commas; by default those that win "
            "more than half of their votes.",
        ),
    ] = None,
    inferior: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Models of the inferior group; by default all that are not superior.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Write analysis.html, analysis.json, examples.jsonl for `routellm label "
            "--examples`, and test.jsonl for `routellm evaluate --benchmark routes=FILE` there.",
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="How many of the hardest and easiest questions are examples."
        ),
    ] = 8,
    hard_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="The share of the questions, and of the examples, that is labelled "
            "ROUTE_TO_SUPERIOR: the hardest.",
        ),
    ] = 0.5,
    turn: Annotated[
        int, typer.Option(metavar="N", min=1, help="Which turn's questions are labelled.")
    ] = 1,
    questions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Rows of question_id and category, as MT-bench's question.jsonl, where the votes "
            "have no category.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the bootstrap intervals.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Write the analysis as JSON.")] = False,
) -> None:
    """Find out from people's votes which questions need the superior model.

    Ranks questions by the share of votes for a superior model over an inferior one, tells how far
    judges agree, and makes of the questions examples for `routellm label --mode route` and a test
    set for the router that is trained on its labels.
    """
    check_fraction(hard_share, name="hard_share", within="(0, 1)")
    from routellm_core.labeling.judgments import (
        analyze_judgments,
        label_questions,
        read_judgments,
    )

    read = read_judgments(judgments)
    if questions is not None:
        read = _with_categories(read, questions)
    found = analyze_judgments(read, superior=_names(superior), inferior=_names(inferior), seed=seed)
    split = None
    if out is not None:
        split = label_questions(found, turn=turn, hard_share=hard_share, n_examples=examples)
    if json:
        print_json(found.values())
    else:
        _show(found)
    if out is not None and split is not None:
        _write(found, split, Path(out))


def _names(given: str | None) -> list[str] | None:
    if given is None:
        return None
    return [name.strip() for name in given.split(",") if name.strip()]


def _with_categories(read: Judgments, file: str) -> Judgments:
    from routellm_core.data.rows import numbered_rows

    known: dict[str, str] = {}
    for line, row in numbered_rows(file):
        if isinstance(row, DataError):
            raise DataError(f"{file!r}, line {line}: {row}")
        if row.get("question_id") is None or not row.get("category"):
            raise DataError(
                f"{file!r}, line {line}: a row needs `question_id` and `category`. Its fields: "
                f"{', '.join(map(str, row))}."
            )
        known[str(row["question_id"])] = str(row["category"])
    if not known:
        raise DataError(f"{file!r} is empty.")
    votes = [
        replace(vote, category=vote.category or known.get(vote.question, "")) for vote in read.votes
    ]
    return replace(read, votes=tuple(votes))


def _write(found: Analysis, split: LabelSplit, folder: Path) -> None:
    from routellm_core.labeling.judgments import write_analysis_page, write_labels

    folder.mkdir(parents=True, exist_ok=True)
    values = json_module.dumps(found.values(), indent=1, sort_keys=True)
    (folder / "analysis.json").write_text(values + "\n", encoding="utf-8")
    page = write_analysis_page(found, folder / "analysis.html")
    write_labels(folder / "examples.jsonl", split.examples)
    write_labels(folder / "test.jsonl", split.test)
    notes().print(
        f"Wrote {page}, and beside it analysis.json, examples.jsonl ({len(split.examples)} "
        f"questions) and test.jsonl ({len(split.test)} questions).",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _show(found: Analysis) -> None:
    console = results()
    console.print(
        f"{found.n_votes:,} votes of {found.n_judges:,} judges, {found.n_group_votes:,} between "
        f"the groups: {found.mean:.1%} for the superior model.",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    if math.isinf(found.prior_votes):
        console.print("The votes do not tell the questions apart: their order says nothing.")
    _show_models(console, found)
    for turn in found.turns:
        of_turn = [one for one in found.questions if one.turn == turn]
        n = min(_ENDS, (len(of_turn) + 1) // 2)
        console.print(f"\nTurn {turn}: {len(of_turn):,} questions; the hardest {n}:")
        _show_questions(console, of_turn[:n])
        console.print("the easiest:")
        _show_questions(console, of_turn[n:][-n:][::-1])
    for one in found.categories:
        console.print(
            f"{one.category}: {share_text(one.superior_share)}", markup=False, soft_wrap=True
        )
    console.print()
    if found.agreement is None:
        console.print("No two judges voted on the same two answers: there is no agreement to tell.")
        return
    _show_agreement(console, "all judges", found.agreement.all_judges)
    for kind in found.agreement.kinds:
        first, second = (name or "unnamed" for name in kind.kinds)
        _show_agreement(console, first if first == second else f"{first} and {second}", kind)


def _show_models(console: Console, found: Analysis) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("model", "group", "votes", "win rate"):
        table.add_column(name, justify="right" if name == "votes" else "left")
    for one in found.models:
        group = "superior" if one.model in found.superior else ""
        group = "inferior" if one.model in found.inferior else group
        table.add_row(Text(one.model), group, f"{one.n_votes:,}", share_text(one.win_rate))
    console.print(table)


def _show_questions(console: Console, questions: Sequence[Question]) -> None:
    for one in questions:
        text = " ".join(one.prompt.split())
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        console.print(
            f"  {one.difficulty:.1%}  {one.question}: {shown} ({one.n_votes} votes, "
            f"{share_text(one.superior_share)})",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _show_agreement(console: Console, name: str, found: KindAgreement) -> None:
    beyond = "-" if math.isnan(found.beyond_chance) else f"{found.beyond_chance:.2f}"
    console.print(
        f"Agreement of {name}: {share_text(found.agreement)}, without ties "
        f"{share_text(found.decided_agreement)}, beyond chance {beyond} "
        f"({found.n_pairs:,} pairs of votes)",
        markup=False, soft_wrap=True,
    )  # fmt: skip
