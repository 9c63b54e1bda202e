"""Train the bundled router: `python -m routellm_core.training.bundled --data DATA --out FOLDER`."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from routellm_core.training.bundled.outcomes import FitSettings
from routellm_core.training.bundled.recipe import Recipe, run_recipe

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, train, and write the checkpoint folders."""
    parser = argparse.ArgumentParser(
        prog="python -m routellm_core.training.bundled", description=main.__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="holds train/ and benchmarks/")
    parser.add_argument("--out", type=Path, required=True, help="receives tables/ and mf/")
    parser.add_argument("--gold", type=Path, help="response files to fit on as well; do not ship")
    parser.add_argument("--meaning", choices=["bundled", "minilm"], default="bundled")
    parser.add_argument("--topics", choices=["refit", "bundled"], default="refit")
    defaults = FitSettings()
    for name in ("penalty", "length_prior", "budget_weight"):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=float, default=getattr(defaults, name))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="hold out sources, tasks and pairs")
    parser.add_argument("--install", action="store_true", help="replace the bundled weights")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = Recipe(
        data=options.data,
        out=options.out,
        gold=options.gold,
        meaning=options.meaning,
        topics=options.topics,
        settings=replace(
            defaults,
            penalty=options.penalty,
            length_prior=options.length_prior,
            budget_weight=options.budget_weight,
        ),
        seed=options.seed,
    )
    run_recipe(recipe, validate=options.validate, install=options.install)


if __name__ == "__main__":
    main()
