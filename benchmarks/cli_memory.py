"""Show that `routellm route` streams: peak memory over files of growing length.

    python benchmarks/cli_memory.py [--router mf]

Each row is one process: `routellm route --file ... --json` with its output discarded. Peak memory
is the operating system's `ru_maxrss` of that process.
"""

import argparse
import os
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

ROUTELLM = str(Path(sysconfig.get_path("scripts")) / "routellm")
LINE = "Prompt {}: summarise the following paragraph about the history of navigation in one line.\n"


def write_prompts(path: Path, n: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(LINE.format(i) for i in range(n))


def measure(path: Path, router: str) -> tuple[float, float]:
    """Return the seconds that one run took and its peak memory in MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [ROUTELLM, "route", "--router", router, "--file", str(path), "--json"],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the command failed with exit code {process.returncode}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--router", default="mf")
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    print(f"{'lines':>10} {'seconds':>8} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for n in options.lines:
            path = Path(folder) / "prompts.txt"
            write_prompts(path, n)
            seconds, peak_mib = measure(path, options.router)
            print(f"{n:>10,} {seconds:>8.1f} {peak_mib:>9.1f}")


if __name__ == "__main__":
    main()
