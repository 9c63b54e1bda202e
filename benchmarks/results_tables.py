"""Print the tables of docs/results.md from a results file of `routellm evaluate`.

routellm evaluate -r mf -b mmlu=FOLDER -b gsm8k=FOLDER -b mt_bench=FOLDER --out report/
python benchmarks/results_tables.py report/results.json
"""

import argparse

from routellm_core.evaluation import read_results
from routellm_core.evaluation.figures import Estimate


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def interval(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return share(estimate.value)
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    results = read_results(parser.parse_args().results)
    for benchmark in results.benchmarks:
        print(f"\n**{benchmark.name}**, {benchmark.n:,} prompts\n")
        print("| router | APGR | grid 10 | CPT(50 %) | CPT(80 %) | AUROC | ECE, raw → calibrated |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in benchmark.baselines:
            if row.apgr is not None:
                print(f"| {row.name} | {share(row.apgr)} | | {share(row.cpt_50)} | | | |")
        for router in benchmark.routers:
            m = router.measurement
            cells = [
                interval(m.apgr),
                share(m.apgr_grid_10),
                interval(m.cpt[1]),
                interval(m.cpt[2]),
                share(m.auroc),
                f"{m.raw.ece:.3f} → {m.calibrated.ece:.3f}",
            ]
            print(f"| {router.label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
