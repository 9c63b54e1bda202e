"""What routing would have cost and kept: metrics, benchmarks, reports and their checks."""

from routellm_core.evaluation.benchmarks import (
    Benchmark,
    LoadedBenchmark,
    benchmark_class,
    benchmark_names,
    load_benchmark,
)
from routellm_core.evaluation.compare import Comparison, Difference, compare
from routellm_core.evaluation.contamination import (
    Match,
    Overlap,
    find_matches,
    overlap,
    uncontaminated,
)
from routellm_core.evaluation.measure import baselines, measure
from routellm_core.evaluation.results import (
    Results,
    Verification,
    read_results,
    verify,
    write_results,
)
from routellm_core.evaluation.robustness import (
    ChangedPrompts,
    Robustness,
    changed_prompts,
    read_changed_prompts,
    robustness,
)
from routellm_core.evaluation.run import Candidate, evaluate
from routellm_core.evaluation.score_cache import ScoreCache, default_cache_folder

__all__ = [
    "Benchmark",
    "Candidate",
    "ChangedPrompts",
    "Comparison",
    "Difference",
    "LoadedBenchmark",
    "Match",
    "Overlap",
    "Results",
    "Robustness",
    "ScoreCache",
    "Verification",
    "baselines",
    "benchmark_class",
    "benchmark_names",
    "changed_prompts",
    "compare",
    "default_cache_folder",
    "evaluate",
    "find_matches",
    "load_benchmark",
    "measure",
    "overlap",
    "read_changed_prompts",
    "read_results",
    "robustness",
    "uncontaminated",
    "verify",
    "write_results",
]
