"""Measure the bundled router: import, first decision, latency, throughput, size and memory.

    python benchmarks/bench_bundled_router.py [--json]

Every figure that a fresh process is needed for is taken in one, the best of five. NumPy runs on one
thread. `cpu` columns are processor time, which a busy machine does not inflate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

PROMPT = """\
The committee will review the proposal next week and decide whether the additional funding is
justified, given that three earlier projects ran over budget and two were cancelled before
delivery. Please summarise the arguments on both sides, point out which of the figures in the
attached table look unreliable, and suggest a short list of questions that the chair could ask
the project manager, Ms Okonkwo. Keep the tone neutral and do not exceed 200 words. If a number
cannot be verified, say so clearly rather than guessing, and mark every assumption that you
make along the way so that readers can check it."""
IMPORT = "import time, numpy; t = time.perf_counter(); import routellm_core; "
FIRST = (
    "import numpy, routellm_core, time; t = time.perf_counter(); "
    "routellm_core.load_router('mf').win_rate('Explain tides.'); "
)
REPORT = "print(time.perf_counter() - t)"
MEMORY = """
import resource, numpy, sys
from pathlib import Path
def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
from routellm_core import load_router
router = load_router("mf")
prompts = [sys.argv[1] + str(i) for i in range(20_000)]
held = sum(map(sys.getsizeof, prompts)) / 2**20
router.win_rates(prompts)
print(peak() - before - held)
"""


def cpu_of(code: str) -> str:
    return code.replace("time.perf_counter", "time.process_time")


def fresh(code: str, *arguments: str) -> float:
    command = [sys.executable, "-c", code, *arguments]
    return min(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )


def timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def figures() -> dict[str, tuple[float, str, str]]:
    """Return value, unit and limit of every figure."""
    from routellm_core import load_router

    router = load_router("mf")
    words = len(PROMPT.split())
    single = sorted(timed(lambda i=i: router.win_rate(f"{PROMPT} {i}"))[0] for i in range(5000))
    singles = [
        timed(lambda: [router.win_rate(f"{PROMPT} {i}") for i in range(1000)])[1] for _ in range(5)
    ]
    batch = [f"{PROMPT[i % 40 :]} {i}" for i in range(10_000)]
    runs = [timed(lambda: router.win_rates(batch)) for _ in range(5)]
    huge = ("word " * 20 + "\n") * 50_000
    huge_runs = [timed(lambda: router.win_rate(huge))[0] for _ in range(20)]
    package = Path(__import__("routellm_core").__file__).parent
    folders = [package / "embedders" / "tables", package / "routers" / "bundled"]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*.*"))
    return {
        "import over NumPy": (fresh(IMPORT + REPORT) * 1e3, "ms", "<= 60"),
        "first decision after import": (fresh(FIRST + REPORT) * 1e3, "ms", "<= 250"),
        "first decision, cpu": (fresh(cpu_of(FIRST + REPORT)) * 1e3, "ms", "<= 250"),
        f"one prompt of {words} words, p50": (single[2500] * 1e3, "ms", "<= 0.25"),
        f"one prompt of {words} words, p99": (single[4950] * 1e3, "ms", "<= 1"),
        f"one prompt of {words} words, cpu": (min(singles) / 1000 * 1e3, "ms", "<= 0.25"),
        "batch, one core": (len(batch) / min(run[0] for run in runs), "prompts/s", ">= 15000"),
        "batch, one core, cpu": (len(batch) / min(run[1] for run in runs), "prompts/s", ">= 15000"),
        f"one prompt of {len(huge) / 1e6:.2f} MB": (min(huge_runs) * 1e3, "ms", "<= 20"),
        "peak extra memory": (fresh(MEMORY, PROMPT), "MiB", "<= 60"),
        "checkpoints": (size / 1e6, "MB", "<= 8"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    measured = figures()
    if options.json:
        print(json.dumps({name: value for name, (value, _, _) in measured.items()}, indent=2))
        return
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for name, (value, unit, limit) in measured.items():
        print(f"{name:32} {value:10.3f} {unit:10} {limit}")


if __name__ == "__main__":
    main()
