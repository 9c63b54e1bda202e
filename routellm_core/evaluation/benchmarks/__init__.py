"""Benchmarks: prompts, and how well the strong and the weak model answered each."""

from routellm_core.evaluation.benchmarks.base import Benchmark, LoadedBenchmark
from routellm_core.evaluation.benchmarks.registry import (
    ENTRY_POINT_GROUP,
    benchmark_class,
    benchmark_names,
    load_benchmark,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Benchmark",
    "LoadedBenchmark",
    "benchmark_class",
    "benchmark_names",
    "load_benchmark",
]
