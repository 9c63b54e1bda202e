"""Learning curves on sources that nothing was trained on: APGR by the number of labels.

    python benchmarks/learning_curves.py DATA curves.jsonl --draws 10
    python benchmarks/learning_curves.py DATA curves.jsonl --table

DATA holds `train/prompts.parquet` and `train/outcomes.parquet`. For each source the bundled router
is fitted again without it and is the prior that labels adapt. A draw takes labels of the source at
random and scores up to `--test` of its other prompts; routers from scratch get the same labels. The
pair is two models of the source, see `PAIRS`. The prior knows them only as a stronger and a weaker
one, with the abilities of the bundled router's pair. 0 labels are the prior alone.

Each figure is one line of the file. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from routellm_core import DataError, ModelPair
from routellm_core.data.outcomes import Outcomes
from routellm_core.data.rows import RowReport
from routellm_core.evaluation.metrics import apgr
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.training import TRAINERS
from routellm_core.training.bundled.abilities import prior_abilities
from routellm_core.training.bundled.outcomes import FitSettings, Fitted
from routellm_core.training.bundled.recipe import DEFAULT_PAIR, Recipe, prepare
from routellm_core.training.bundled.sources import Source
from routellm_core.training.bundled.training_set import TrainingSet
from routellm_core.training.progress import steps
from routellm_core.training.remembered import RememberedEmbedder

PAIRS = {
    "alpaca_eval": ("gpt4_1106_preview", "Mixtral-8x7B-Instruct-v0.1"),
    "fasteval": ("gpt-4-0613", "gpt-3.5-turbo-0613"),
    "llmrouter": ("llama-3.1-nemotron-51b-instruct", "mistral-7b-instruct-v0.3"),
    "lmeval": ("llama3.1-8b", "gemma3-1b"),
    "mmlu_pro": ("gemini-1.5-pro-002", "Meta-Llama-3_1-8B-Instruct"),
    "routerbench": ("gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat"),
}
PAIR = ModelPair(strong="strong", weak="weak")
LABELS = (0, 30, 100, 300, 1000, 3000)
SCRATCH = ("mlp", "knn", "cluster", "mf")
LEAST_TEST = 150


class Unit:
    """A source that is held out: prompts, labels, and the prior that does not know it."""

    def __init__(self, training: TrainingSet, index: int) -> None:
        source = training.sources[index]
        self.name = source.name
        quality = pair_quality(source)
        first = {p: row for row, p in reversed([*enumerate(source.prompts)])}
        rows = [row for row in sorted(first.values()) if np.isfinite(quality[row]).all()]
        self.prompts = [source.prompts[row] for row in rows]
        self.quality = quality[rows]
        self.embedder = RememberedEmbedder(training.embedder, self.prompts)
        kept = [
            np.full(len(other.prompts), other.may_ship and other.name != source.name)
            for other in training.sources
        ]
        self.prior = MatrixFactorizationRouter(
            known_by_ability(training.fit(FitSettings(), rows=kept)),
            pair=PAIR,
            embedder=self.embedder,
        )

    def figures(self, n: int, draw: int, test: int) -> Iterator[tuple[str, float]]:
        """Yield each router's APGR with n labels."""
        order = np.random.default_rng((draw, n)).permutation(len(self.prompts))
        labels, held = order[:n], order[n : n + test]
        prompts = [self.prompts[row] for row in held]
        strong, weak = self.quality[held].T

        def figure(scores: np.ndarray) -> float:
            return apgr(scores, weak=weak, strong=strong)

        yield "prior", figure(self.prior.win_rates(prompts))
        yield "length", figure(np.array([len(prompt) for prompt in prompts], dtype=float))
        yield "random", figure(np.random.default_rng(draw).random(len(prompts)))
        if not n:
            return
        data = self.outcomes(labels)
        arguments: dict[str, Any] = {"pair": PAIR, "embedder": self.embedder, "seed": draw}
        adapted = TRAINERS["adapted"](data, prior=self.prior, validation_share=0.5, **arguments)
        yield "adapted", figure(adapted.router.win_rates(prompts))
        for name in SCRATCH:
            yield name, figure(TRAINERS[name](data, **arguments).router.win_rates(prompts))

    def outcomes(self, rows: np.ndarray) -> Outcomes:
        """Return the labels of some prompts."""
        quality = self.quality[rows]
        return Outcomes(
            tuple(self.prompts[row] for row in rows),
            (PAIR.strong, PAIR.weak),
            quality,
            np.full(quality.shape, np.nan),
            RowReport(quality.size, 0),
        )


def pair_quality(source: Source) -> np.ndarray:
    """Return the quality of the source's pair: (n, 2), strong first."""
    columns = [source.models.index(model) for model in PAIRS[source.name]]
    return source.quality[:, columns]


def known_by_ability(fitted: Fitted) -> OutcomeModel:
    """Return the fitted model with two models of the bundled pair's abilities, and no other."""
    general = prior_abilities([DEFAULT_PAIR.strong, DEFAULT_PAIR.weak])
    model = fitted.model
    return OutcomeModel(
        models=(PAIR.strong, PAIR.weak),
        mean=model.mean,
        scale=model.scale,
        bound=model.bound,
        projection=model.projection,
        abilities=np.column_stack([np.ones(2), general]).astype(np.float32),
        eases=(fitted.ease + fitted.slope * general).astype(np.float32),
    )


def known_figures(path: Path) -> dict[tuple[str, int, int], dict[str, float]]:
    """Return the figures by source, labels and draw; a line that was cut off does not count."""
    found: dict[tuple[str, int, int], dict[str, float]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            found[row["source"], row["labels"], row["draw"]] = row["apgr"]
    return found


def measure(arguments: argparse.Namespace) -> None:
    """Measure what is not in the file yet, a draw of every source at a time."""
    known = known_figures(arguments.out)
    training, _ = prepare(Recipe(data=arguments.data, out=arguments.out.parent, topics="bundled"))
    chosen = [
        index
        for index, source in enumerate(training.sources)
        if source.name in (arguments.sources or PAIRS)
    ]
    units = [Unit(training, index) for index in chosen]
    wanted = [
        (unit, n, draw)
        for draw in range(arguments.draws)
        for unit in units
        for n in arguments.labels
        if n + LEAST_TEST <= len(unit.prompts) and (unit.name, n, draw) not in known
    ]
    with arguments.out.open("a", encoding="utf-8") as file:
        file.write("" if not known else "\n")
        for unit, n, draw in steps(wanted, "draws", show=True):
            try:
                figures = {
                    name: round(value, 5) for name, value in unit.figures(n, draw, arguments.test)
                }
            except DataError as error:
                print(f"{unit.name}, {n} labels, draw {draw}: {error}", file=sys.stderr)
                continue
            row = {"source": unit.name, "labels": n, "draw": draw, "apgr": figures}
            file.write(json.dumps(row) + "\n")
            file.flush()


def table(path: Path) -> str:
    """Return the mean APGR by source and labels, and how far `adapted` is from the best other."""
    found: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    for (source, n, _), figures in sorted(known_figures(path).items()):
        found[source, n].append(figures)
    columns = ("adapted", "prior", *SCRATCH, "length", "random")
    lines = [
        f"| source | labels | draws | {' | '.join(columns)} | adapted − best |",
        "| --- " * (len(columns) + 4) + "|",
    ]
    for (source, n), draws in sorted(found.items()):
        means = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
        cells = [f"{means[name]:.3f}" if name in means else "" for name in columns]
        lines.append(
            f"| {source} | {n:,} | {len(draws)} | {' | '.join(cells)} | {_margin(draws, means)} |"
        )
    return "\n".join(lines)


def growth(path: Path) -> str:
    """Say by what the adapted router's APGR grows with e times as many labels, step by step."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (source, n, _), figures in known_figures(path).items():
        if n:
            found[source][n].append(figures["adapted"])
    slopes = [
        (np.mean(draws[more]) - np.mean(draws[n])) / np.log(more / n)
        for draws in found.values()
        for n, more in pairwise(sorted(draws))
    ]
    if len(slopes) < 2:
        return ""
    return (
        f"APGR of `adapted` with e times as many labels: {np.mean(slopes):+.4f}, deviation "
        f"{np.std(slopes, ddof=1):.4f} over {len(slopes)} steps"
    )


def _margin(draws: list[dict[str, float]], means: dict[str, float]) -> str:
    if "adapted" not in means or len(draws) < 2:
        return ""
    best = max(("prior", *SCRATCH), key=lambda name: means[name])
    margins = np.array([draw["adapted"] - draw[best] for draw in draws])
    error = float(margins.std(ddof=1)) / np.sqrt(len(margins))
    return f"{margins.mean():+.3f} ± {error:.3f} ({best})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="one JSON object for each source, number and draw")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=LABELS)
    parser.add_argument("--sources", nargs="+", choices=list(PAIRS))
    parser.add_argument("--test", type=int, default=3000, help="prompts to score, at most")
    parser.add_argument("--table", action="store_true", help="print what the file holds")
    arguments = parser.parse_args()
    if not arguments.table:
        measure(arguments)
    print(table(arguments.out), growth(arguments.out), sep="\n\n")


if __name__ == "__main__":
    main()
