"""How many prompts tell what a new model can do: models that a router never saw, added to it.

Reads two tables: prompts with `prompt_id`, `source`, `task` and `prompt`, and outcomes with
`prompt_id`, `model` and `quality`. Of one source's prompts a part (`--test`) measures, and the
others are a pool to answer. Without `--train` the router is the bundled `mf`, and every model that
it does not know is new. With `--train` a router is trained on the pool without a third of the
models, three times, so that every model is new once.

New models are added from n prompts of the pool, drawn at random, chosen by `choose_prompts`, or
drawn from one of the source's tasks, with (`+ known`) or without the known models' outcomes on the
same prompts. Three figures, means over models and draws: the log loss of the predicted quality on
the test prompts, how far its mean is off, and the APGR of pairs of a new and any other model whose
mean qualities differ by 0.05 or more. The second table says how far the figures from n random
prompts are from those of the most prompts, with the standard error over draws; how many abilities
lie within 1.96 of their own standard errors of those from the most prompts; and what choosing gains
over drawing at random.

    python benchmarks/new_models.py PROMPTS OUTCOMES --source routerbench
    python benchmarks/new_models.py PROMPTS OUTCOMES --source mmlu_pro --train cluster
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from routellm_core import AddedModel, DataError, ModelPair, choose_prompts, load_router
from routellm_core.data import Outcomes, read_outcomes
from routellm_core.data.rows import numbered_rows
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.evaluation.metrics import apgr
from routellm_core.routers.model_adder import ModelAdder, model_adder
from routellm_core.training import TRAINERS

SIZES = (10, 20, 50, 100, 200, 1000)
MIN_GAP = 0.05
MIN_OF_TASK = 50


class Figures(NamedTuple):
    """Means over the new models of one router."""

    loss: float
    off: float
    apgr: float
    reports: list[AddedModel]


class RememberedEmbedder:
    """Embed every text once."""

    def __init__(self, embedder: BundledEmbedder) -> None:
        self.identity = embedder.identity
        self._embedder = embedder
        self._known: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Return one vector for each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def outcomes_of(prompts: str, outcomes: str, source: str) -> tuple[Outcomes, dict[str, str]]:
    """Return a source's outcomes, and each prompt's task."""
    found = [
        row
        for _, row in numbered_rows(prompts)
        if not isinstance(row, DataError) and row["source"] == source
    ]
    texts = {row["prompt_id"]: row["prompt"] for row in found}
    rows = [
        {"prompt": texts[row["prompt_id"]], "model": row["model"], "quality": row["quality"]}
        for _, row in numbered_rows(outcomes)
        if not isinstance(row, DataError) and row["prompt_id"] in texts
    ]
    return read_outcomes(rows), {row["prompt"]: row["task"] for row in found}


def rows_of_a_task(drawn: NDArray[np.int64], tasks: list[str]) -> NDArray[np.int64]:
    """Return the rows of the first task that has enough of them; none where it is the only one."""
    counts = Counter(tasks[row] for row in drawn)
    large = [task for task, n in counts.items() if n >= MIN_OF_TASK]
    if len(large) < 2:
        return drawn[:0]
    return np.array([row for row in drawn if tasks[row] == large[0]])


def without(outcomes: Outcomes, models: set[str]) -> Outcomes:
    columns = [i for i, model in enumerate(outcomes.models) if model not in models]
    return Outcomes(
        outcomes.prompts,
        tuple(outcomes.models[i] for i in columns),
        outcomes.quality[:, columns],
        outcomes.cost[:, columns],
        outcomes.report,
    )


def routers_of(
    trainer: str | None, pool: Outcomes, embedder: RememberedEmbedder, seed: int
) -> Iterator[tuple[ModelAdder, list[str]]]:
    """Yield routers, each with the models that are new to it."""
    if trainer is None:
        router = model_adder(load_router("mf", embedder=embedder))
        yield router, [model for model in pool.models if model not in router.models]
        return
    order = np.random.default_rng(seed).permutation(len(pool.models))
    for fold in range(3):
        new = [pool.models[i] for i in order[fold::3]]
        known = without(pool, set(new))
        ranked = np.argsort(np.nanmean(known.quality, axis=0))
        pair = ModelPair(known.models[ranked[-1]], known.models[ranked[0]])
        trained = TRAINERS[trainer](known, pair=pair, embedder=embedder, seed=seed)
        yield model_adder(trained.router), new


def log_loss(predicted: NDArray[np.float64], quality: NDArray[np.float64]) -> float:
    p = np.clip(predicted, 0.01, 0.99)
    return float(-(quality * np.log(p) + (1.0 - quality) * np.log(1.0 - p)).mean())


def apgr_of_pairs(router: ModelAdder, new: list[str], test: Outcomes) -> float:
    """Return the mean APGR of pairs with a new model; NaN where no pair differs enough."""
    predicted = router.quality(list(test.prompts))
    shared = [model for model in test.models if model in router.models]
    found = []
    for one in new:
        for other in shared:
            if other == one or (other in new and other < one):
                continue
            columns = [test.models.index(model) for model in (one, other)]
            rows = np.isfinite(test.quality[:, columns]).all(axis=1)
            ours, theirs = test.quality[rows][:, columns].T
            if abs(ours.mean() - theirs.mean()) < MIN_GAP:
                continue
            own, others = (predicted[rows, router.models.index(m)] for m in (one, other))
            if ours.mean() > theirs.mean():
                found.append(apgr(own - others, weak=theirs, strong=ours))
            else:
                found.append(apgr(others - own, weak=ours, strong=theirs))
    return float(np.mean(found)) if found else float("nan")


def measure(
    router: ModelAdder,
    new: list[str],
    pool: Outcomes,
    test: Outcomes,
    tasks: dict[str, str],
    seed: int,
) -> dict[tuple[str, int], Figures]:
    columns = [pool.models.index(model) for model in new]
    answered = np.flatnonzero(np.isfinite(pool.quality[:, columns]).all(axis=1))
    drawn = np.random.default_rng(seed).permutation(answered)
    prompts = [pool.prompts[row] for row in answered]
    chooser = router if router.name == "mf" else load_router("mf", embedder=router.embedder)
    known = set(pool.models) & set(router.models)
    found = {}

    def chosen(n: int, looked_at: int) -> NDArray[np.int64]:
        few = min(looked_at, len(prompts))
        return answered[choose_prompts(chooser, prompts, n, candidates=few, seed=seed)]

    of_task = rows_of_a_task(drawn, [tasks[prompt] for prompt in pool.prompts])
    ways: dict[str, Callable[[int], NDArray[np.int64]]] = {
        "random": lambda n: drawn[:n],
        "chosen of 3 n": lambda n: chosen(n, 3 * n),
        "chosen of all": lambda n: chosen(n, len(prompts)),
        "one task": lambda n: of_task[:n],
    }
    for way, rows_for in ways.items():
        for n in SIZES:
            if (way == "one task" and n > len(of_task)) or (way != "random" and n == SIZES[-1]):
                continue
            rows = pool.select(rows_for(n))
            found[way, n] = figures(router, new, rows, set(), test)
            if known and way != "chosen of all":
                found[f"{way} + known", n] = figures(router, new, rows, known, test)
    return found


def figures(
    router: ModelAdder, new: list[str], answers: Outcomes, others: set[str], test: Outcomes
) -> Figures:
    grown, reports = copy(router), []
    for model in new:
        table = without(answers, set(answers.models) - others - {model})
        reports.append(grown.add_model(model, table))
    predicted = grown.qualities(list(test.prompts), new)
    losses, off = [], []
    for model, own in zip(new, predicted.T, strict=True):
        quality = test.quality[:, test.models.index(model)]
        seen = np.isfinite(quality)
        losses.append(log_loss(own[seen], quality[seen]))
        off.append(abs(float(own[seen].mean() - quality[seen].mean())))
    return Figures(
        float(np.mean(losses)), float(np.mean(off)), apgr_of_pairs(grown, new, test), reports
    )


def agreeing(found: list[AddedModel], most: list[AddedModel]) -> list[bool]:
    """Say of each fitted number whether it is as near to that from most prompts as it claims."""
    return [
        abs(ours - theirs) <= 1.96 * error
        for one, other in zip(found, most, strict=True)
        for ours, theirs, error in zip(one.ability, other.ability, one.standard_error, strict=True)
        if error > 0.0
    ]


def show(draws: list[list[dict[tuple[str, int], Figures]]]) -> None:
    # Of tasks of different sizes, those numbers of prompts that all draws have.
    keys = [key for key in draws[0][0] if all(key in one for draw in draws for one in draw)]
    ways = list(dict.fromkeys(way for way, _ in keys))
    means = {
        key: np.array([np.nanmean([one[key][:3] for one in draw], axis=0) for draw in draws])
        for key in keys
    }
    print("| prompts | " + " | ".join(ways) + " |")
    print("| --- " * (len(ways) + 1) + "|")
    for n in SIZES:
        cells = []
        for way in ways:
            loss, off, gap = means[way, n].mean(axis=0) if (way, n) in means else (None,) * 3
            cells.append("" if loss is None else f"{loss:.3f}, {off:.3f}, {gap:.3f}")
        print(f"| {n:,} | " + " | ".join(cells) + " |")
    print(
        f"| prompts | random: log loss above that of {SIZES[-1]:,} | APGR below it "
        "| abilities agree | chosen of 3 n: log loss below random | APGR above it |"
    )
    print("| --- " * 6 + "|")
    most = means["random", SIZES[-1]]
    for n in SIZES[:-1]:
        loss, gap = differences(means["random", n], most)
        chosen_loss, chosen_gap = differences(means["random", n], means["chosen of 3 n", n])
        agree = [
            same
            for draw in draws
            for one in draw
            for same in agreeing(one["random", n].reports, one["random", SIZES[-1]].reports)
        ]
        print(f"| {n:,} | {loss} | {gap} | {np.mean(agree):.0%} | {chosen_loss} | {chosen_gap} |")


def differences(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[str, str]:
    """Return log loss of the first less that of the second, and APGR the other way round."""
    beyond = (first - second)[:, [0, 2]] * [1.0, -1.0]
    error = beyond.std(axis=0, ddof=1) / np.sqrt(len(beyond))
    loss, gap = (f"{m:.3f} ± {e:.3f}" for m, e in zip(beyond.mean(axis=0), error, strict=True))
    return loss, gap


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts")
    parser.add_argument("outcomes")
    parser.add_argument("--source", required=True)
    parser.add_argument("--train", choices=["mf", "cluster", "knn"])
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table, tasks = outcomes_of(options.prompts, options.outcomes, options.source)
    embedder = RememberedEmbedder(BundledEmbedder())
    draws = []
    for seed in range(options.seed, options.seed + options.draws):
        order = np.random.default_rng(seed).permutation(len(table))
        test, pool = table.select(order[: options.test]), table.select(order[options.test :])
        draws.append(
            [
                measure(router, new, pool, test, tasks, seed)
                for router, new in routers_of(options.train, pool, embedder, seed)
            ]
        )
    print(
        f"{len(table.models)} models, {len(table):,} prompts, {options.test:,} of them to measure"
    )
    show(draws)


if __name__ == "__main__":
    main()
