"""What a decision alone has to import."""

import subprocess
import sys

SHOW = (
    "import sys, routellm_core; needless = {'asyncio', 'routellm_core.answers'}; "
    "print(*sorted(needless & {*sys.modules}))"
)


def test_the_top_of_the_package_imports_no_loops_and_no_verifiers() -> None:
    shown = subprocess.run(
        [sys.executable, "-I", "-c", SHOW], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == []
