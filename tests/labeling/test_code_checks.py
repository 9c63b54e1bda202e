"""Code passes its tests, fails them, or does not end."""

import json
import os
import time

import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.labeling.code_checks import code_in, passes_tests
from routellm_core.labeling.labelling import LabelJob, label
from routellm_core.labeling.logged import LoggedPrompt
from routellm_core.labeling.settings import LabelSettings

TESTS = "assert add(2, 2) == 4\nassert add(-1, 1) == 0"
RIGHT = "Here:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (RIGHT, True),
        ("def add(a, b):\n    return a + b", True),
        ("```\ndef add(a, b):\n    return sum([a, b])\n```", True),
        (RIGHT.replace("a + b", "a - b"), False),
        ("I cannot.", False),
        ("", False),
        ("raise SystemExit(0)", False),
        ("import os\nos._exit(0)", False),
        ("def add(a, b):\n    while True: pass", False),
        ("def add(a, b):\n    return len(bytearray(2**40))", False),
        ("while True: print('x' * 1000)", False),
        ("```bash\nrm -rf nothing\n```\n" + RIGHT, True),
    ],
)
def test_only_code_that_ran_to_the_end_of_its_tests_passes(answer: str, passes: bool) -> None:
    assert passes_tests(answer, TESTS, timeout_s=5.0) is passes


@pytest.mark.skipif(os.name != "posix", reason="groups of processes are POSIX's")
def test_what_the_code_started_ends_with_it(tmp_path) -> None:
    sign = tmp_path / "sign"
    answer = f"""
import subprocess, sys
later = "import time, pathlib; time.sleep(1.0); pathlib.Path({str(sign)!r}).touch()"
subprocess.Popen([sys.executable, "-c", later])
def add(a, b): return a + b
"""
    assert passes_tests(answer, TESTS)
    time.sleep(1.5)
    assert not sign.exists()


def test_several_blocks_are_one_program() -> None:
    answer = "First:\n```py\nx = 1\n```\nThen:\n```sh\nls\n```\n``` python\ny = x\n```"
    assert code_in(answer) == "x = 1\ny = x"
    assert code_in("```python\nx = 1") == "x = 1"  # cut off


def test_the_environment_is_not_the_codes(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert passes_tests("import os", "assert 'OPENAI_API_KEY' not in os.environ")


def test_code_runs_only_where_somebody_said_so(tmp_path) -> None:
    options = {"mode": "reference", "models": ("m",), "comparison": "code"}
    with pytest.raises(ConfigurationError, match="--run-code"):
        LabelSettings(**options)
    prompts = [
        LoggedPrompt("add", answers={"m": RIGHT}, reference=TESTS),
        LoggedPrompt("subtract", answers={"m": "no"}, reference=TESTS),
    ]
    settings = LabelSettings(run_code=True, **options)
    label(LabelJob(prompts=prompts, settings=settings, out=tmp_path / "out.jsonl"))
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["quality"] for row in found] == [1.0, 0.0]
