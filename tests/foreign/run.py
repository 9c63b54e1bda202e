"""Run another project's tests bare and with routed models, and compare them test by test.

python tests/foreign/run.py langchain FOLDER [PATH ...]
python tests/foreign/run.py llamaindex FOLDER [PATH ...]

FOLDER is the source folder of the project with its tests (`langchain`, `langgraph-prebuilt`,
`deepagents` or `llama-index-core`), whose test dependencies are installed. PATHs below it select
tests. A test that fails with routed models alone, and passes once the routed models leave their
decision record off the answer, compares whole answers; any other must stand in `expected.json`,
with its reason, or the exit code is 1. It is 1 too when a test of `expected.json` ran and does not
fail any more, or when the two runs do not have the same tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).parent
PLUGINS = {"langchain": "wrap_langchain", "llamaindex": "wrap_llamaindex"}


def failures(
    folder: Path, paths: list[str], plugin: str | None, *, record: bool = True
) -> tuple[set[str], set[str]]:
    """Return the tests that fail or cannot run, and all that ran."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "no:randomly", "-o", "addopts=", f"--junitxml={report}"]
        command += ["--continue-on-collection-errors"]
        if plugin is not None:
            command += ["-p", plugin]
        command += ["-o", "asyncio_default_fixture_loop_scope=function"]
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        if not record:
            environment["WITHOUT_RECORD"] = "1"
        subprocess.run(
            [*command, *paths],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {
        _name(case)
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    return failed, {_name(case) for case in cases}


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def main(arguments: list[str]) -> int:
    """Compare both runs and print what differs."""
    if len(arguments) < 2 or arguments[0] not in PLUGINS:
        print(__doc__)
        return 2
    kind, folder, paths = arguments[0], Path(arguments[1]), arguments[2:]
    bare, bare_ran = failures(folder, paths, None)
    wrapped, ran = failures(folder, paths, PLUGINS[kind])
    without, _ = failures(folder, paths, PLUGINS[kind], record=False)
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    more = sorted(wrapped - bare)
    stale = sorted(name for name in expected if name in ran and name not in more)
    print(f"bare: {len(bare_ran)} tests, {len(bare)} fail")
    print(f"routed: {len(ran)} tests, {len(wrapped)} fail")
    unexpected = [name for name in more if name in without and name not in expected]
    for name in more:
        reason = expected.get(name, "UNEXPECTED") if name in without else "compares the record"
        print(f"{reason}: {name}")
    for name in stale:
        print(f"NO LONGER FAILS, take it out of expected.json: {name}")
    return int(bare_ran != ran or bool(unexpected or stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
