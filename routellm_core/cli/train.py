"""`routellm train`: from your own battles or outcomes to a checkpoint."""

from __future__ import annotations

import json as json_module
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from routellm_core._numbers import check_fraction
from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.train_inputs import (
    ColumnsOption,
    ForceOption,
    QualityScaleOption,
    ReportJsonOption,
    StrictRowsOption,
    check_free,
    reading_of,
)
from routellm_core.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from routellm_core.training import Trained, TrainedVerifier, TrainingData

__all__ = ["train"]

_TUNED = ("bert", "causal_llm")
_Result = TypeVar("_Result")


def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ROUTER",
            help="adapted, bert, causal_llm, cluster, ensemble, knn, mf, mlp or sw_ranking; "
            "auto, which tries what the data allows and keeps the best; or verifier, which scores "
            "answers.",
        ),
    ],
    *,
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Outcomes (prompt, model, quality) or battles (prompt, model_a, model_b, winner): "
            ".jsonl, .json, .csv, .parquet, or a data set's name on the Hugging Face Hub. For "
            "verifier: graded answers (prompt, answer, quality).",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the checkpoint goes.")
    ],
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="STRONG WEAK",
            help="The two models, as the data spells them. For every router, not for verifier.",
        ),
    ] = None,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="bundled, sentence-transformers:MODEL, litellm:MODEL, or several joined by +. "
            "Not for bert and causal_llm.",
        ),
    ] = "bundled",
    base: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For bert and causal_llm, also as members: the pretrained model to start from.",
        ),
    ] = None,
    validation_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="How many prompts are held back to measure and calibrate."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the fit.")] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of the trainer, as JSON. Repeatable."
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keeps embeddings and the state of the fit, so that the same command goes on "
            "after an interruption. By default FOLDER.work beside the checkpoint; removed at the "
            "end.",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="FILE",
            help="What the router will be measured on: NAME=PATH as for `routellm evaluate`, or a "
            "file of prompts. Training prompts that equal or nearly equal one are left out. "
            "May be repeated.",
        ),
    ] = None,
    columns: ColumnsOption = None,
    scale: QualityScaleOption = None,
    strict: StrictRowsOption = False,
    force: ForceOption = False,
    json: ReportJsonOption = False,
) -> None:
    """Train a router on your own data, and store how good it is and how it is calibrated."""
    if name != "verifier":
        _trainer(name)
    check_free(out, force=force)
    options = ({"next_labels": 100} if name == "adapted" else {}) | _settings(setting or [])
    if validation_share is not None:
        options["validation_share"] = validation_share
    if "validation_share" in options:
        check_fraction(options["validation_share"], name="validation_share", within="(0, 1)")
    kept = work or out.with_name(f"{out.name}.work")
    if name == "verifier":
        _refuse_for_verifier(pair=pair, base=base, leave_out=leave_out)
        options |= {"seed": seed, **_source(name, embedder=embedder, base=None, work=kept)}
        reading = {"strict": strict, **reading_of(columns, scale)}
        _train_verifier(data, out, options, reading=reading, force=force, json=json)
        if work is None:
            shutil.rmtree(kept, ignore_errors=True)
        return
    trainer = _trainer(name)
    if pair is None:
        raise ConfigurationError(
            f"`routellm train {name}` needs `--pair STRONG WEAK`: the two models, as the data "
            "spells them."
        )
    options |= _source(name, embedder=embedder, base=base, work=kept)
    from routellm_core.training import data_doubts, read_data
    from routellm_core.types import ModelPair

    models = ModelPair(*pair)
    rows = read_data(data, strict=strict, **reading_of(columns, scale))
    rows = _uncontaminated(rows, leave_out or [])
    _heed(data_doubts(rows, models, trainer=name), force=force)
    result = _run(trainer, rows, {"pair": models, "seed": seed, **options}, name=name)
    folder = result.save(out)
    if result.doubt is not None:
        _warn(result.doubt)
    if work is None:
        shutil.rmtree(kept, ignore_errors=True)
    if json:
        print_json({"checkpoint": str(folder), "bad_rows": rows.report.n_bad, **result.metrics})
    else:
        _show(result, folder, name=name)


def _refuse_for_verifier(**given: Any) -> None:
    for option, value in given.items():
        if value:
            raise ConfigurationError(
                f"`--{option.replace('_', '-')}` is for routers: `routellm train verifier` learns "
                "from graded answers (prompt, answer, quality) of one model or several."
            )


def _train_verifier(
    data: str,
    out: Path,
    options: dict[str, Any],
    *,
    reading: dict[str, Any],
    force: bool,
    json: bool,
) -> None:
    from routellm_core.data import read_answers
    from routellm_core.training import answer_doubts, train_verifier

    rows = read_answers(data, **reading)
    _heed(answer_doubts(rows, model=options.get("model")), force=force)
    result = _run(train_verifier, rows, options, name="verifier")
    folder = result.save(out)
    for doubt in result.doubts:
        _warn(doubt)
    if json:
        print_json({"checkpoint": str(folder), "bad_rows": rows.report.n_bad, **result.metrics})
    else:
        _show(result, folder, name="verifier")


def _uncontaminated(rows: TrainingData, specs: list[str]) -> TrainingData:
    """Return the rows without prompts that stand, or nearly stand, where the router is measured."""
    from routellm_core.cli.benchmarks import open_benchmarks
    from routellm_core.evaluation import uncontaminated
    from routellm_core.evaluation.logged_calls import read_logged_calls

    measured: list[str] = []
    for spec in specs:
        if "=" in spec:
            (benchmark,) = open_benchmarks([spec], strong=None, weak=None)
            measured += benchmark.prompts
        else:
            measured += read_logged_calls(spec).prompts
    if not measured:
        return rows
    keep = uncontaminated(rows.prompts, measured)
    left_out = int((~keep).sum())
    notes().print(f"Left out {left_out:,} of {len(keep):,} rows: they are near what is measured.")
    if not keep.any():
        raise ConfigurationError(
            "Every training prompt is near one that the router is measured on."
        )
    return rows.select(keep) if left_out else rows


def _trainer(name: str) -> Callable[..., Trained]:
    from routellm_core.errors import did_you_mean
    from routellm_core.training import TRAINERS

    if name not in TRAINERS:
        known = sorted(TRAINERS)
        raise ConfigurationError(
            f"No trainer for {name!r}.{did_you_mean(name, known)} Trainers: {', '.join(known)}."
        )
    return TRAINERS[name]


def _settings(given: list[str]) -> dict[str, Any]:
    options = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key.isidentifier() and equals):
            raise ConfigurationError(f"`--set` takes KEY=VALUE, got {text!r}.")
        try:
            parsed = json_module.loads(value)
        except ValueError:
            parsed = value
        options[key] = tuple(parsed) if isinstance(parsed, list) else parsed
    return options


def _source(name: str, *, embedder: str, base: str | None, work: Path) -> dict[str, Any]:
    """Return where a trainer's texts become numbers: a pretrained model, or an embedder."""
    if name in _TUNED:
        if base is None:
            raise ConfigurationError(
                f"`routellm train {name}` needs `--base`: a folder or 'owner/name' on the Hugging "
                "Face Hub, for example FacebookAI/xlm-roberta-base for bert."
            )
        return {"base": base, "work": work, "show_progress": True}
    from routellm_core.embedders import CachedEmbedder, load_embedder

    found = load_embedder(embedder)
    if not embedder.startswith("bundled"):
        found = CachedEmbedder(found, work / "embeddings.db")
    tuned = {"base": base, "work": work} if name == "ensemble" else {}
    return {"embedder": found, "show_progress": True, **tuned}


def _run(
    trainer: Callable[..., _Result], rows: Any, options: dict[str, Any], *, name: str
) -> _Result:
    try:
        return trainer(rows, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise ConfigurationError(f"Trainer {name!r}: {error}.") from error


def _heed(doubts: Iterable[str], *, force: bool) -> None:
    """Stop where something speaks against training; with `--force`, warn in the same words."""
    said = list(doubts)
    if said and not force:
        raise DataError(f"{' '.join(said)} `--force` trains all the same.")
    for doubt in said:
        _warn(doubt)


def _warn(text: str) -> None:
    notes().print(text, style="yellow", markup=False, soft_wrap=True)


def _show(result: Trained | TrainedVerifier, folder: Path, *, name: str) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in result.metrics.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            table.add_row(key, f"{value:.4g}")
    for member, weight in result.metrics.get("weights", {}).items():
        table.add_row(f"weight of {member}", f"{weight:.4g}")
    console = results()
    if isinstance(result.metrics.get("tried"), dict):
        _show_tried(result.metrics["tried"], chosen=result.metrics["chosen"])
    what = name if name == "verifier" else f"{name} router"
    console.print(f"Validation of the {what}:")
    console.print(table)
    more = result.metrics.get("next_labels")
    if more is not None:
        console.print(
            f"The next {more['n']:,} labels would add about {more['apgr_gain']:+.3f} to the APGR "
            f"(95 % interval {more['low']:+.3f} to {more['high']:+.3f}).",
            soft_wrap=True,
        )
    console.print(f"Checkpoint: {folder}", markup=False, soft_wrap=True)


def _show_tried(tried: Mapping[str, Mapping[str, float | None]], *, chosen: str) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("tried", "Brier score", "APGR", "95 % interval", ""):
        table.add_column(title)
    for name, found in sorted(tried.items(), key=lambda row: float(row[1]["brier"] or 0.0)):
        value = found["apgr"]
        apgr, interval = "not defined", ""
        if value is not None:
            apgr = f"{value:.3f}"
            interval = f"{found['apgr_low']:.3f} to {found['apgr_high']:.3f}"
        kept = "kept" if name == chosen else ""
        table.add_row(name, f"{found['brier']:.4f}", apgr, interval, kept)
    results().print(table)
    results().print()
