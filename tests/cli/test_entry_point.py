"""The installed command, in a process of its own."""

import os
import pty
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROUTELLM = str(Path(sysconfig.get_path("scripts")) / "routellm")
ROUTE = [ROUTELLM, "route", "--router", "random"]


def run(*arguments: str, stdin: str | None = None, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        arguments, input=stdin, capture_output=True, text=True, timeout=60, **options
    )


def test_the_command_is_installed_and_routes_stdin() -> None:
    done = run(*ROUTE, "--json", stdin="one\ntwo\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def test_it_says_its_version() -> None:
    done = run(ROUTELLM, "--version")
    assert done.stdout.startswith("routellm-plugins ")


def test_a_mistake_in_the_options_is_exit_code_2() -> None:
    done = run(ROUTELLM, "route", "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr


def test_a_failure_prints_no_traceback() -> None:
    done = run(*ROUTE, "--checkpoint", "nowhere", "x")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("style", [[], ["--json"]])
def test_a_reader_that_leaves_early_is_no_error(style: list[str], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a prompt\n" * 50_000)
    process = subprocess.Popen(
        [*ROUTE, *style, "--file", str(prompts)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


def test_ctrl_c_is_no_error() -> None:
    with subprocess.Popen(
        [*ROUTE, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        # A shell's background jobs, and so a test run among them, ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"one\n")
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 128 + signal.SIGINT
        assert process.stderr.read() == b""


def test_each_line_of_a_slow_pipe_is_answered_at_once() -> None:
    with subprocess.Popen(
        [*ROUTE, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for prompt in (b"one", b"two"):
            process.stdin.write(prompt + b"\n")
            assert prompt in process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def stderr_on_a_terminal(command: list[str], *, stdout: Path) -> bytes:
    """Run a command whose stderr is a terminal and whose stdout is a file; return its stderr."""
    ours, theirs = pty.openpty()
    with (
        stdout.open("wb") as results,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=results, stderr=theirs
        ) as process,
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end was closed
                break
            if not chunk:
                break
            shown += chunk
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return shown


def test_a_terminal_shows_progress_while_the_results_go_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a prompt\n" * 50_000)
    shown = stderr_on_a_terminal(
        [*ROUTE, "--json", "-f", str(tmp_path / "prompts.txt")], stdout=tmp_path / "out.jsonl"
    )
    assert b"50,000 prompts" in shown
    assert b"win_rate" not in shown
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 50_000


def test_without_a_terminal_there_is_no_progress(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a prompt\n" * 50_000)
    done = run(*ROUTE, "--json", "-f", str(prompts))
    assert done.stderr == ""


def test_one_command_imports_nothing_of_another() -> None:
    code = (
        "import sys\n"
        "from routellm_core.cli import app\n"
        "heavy = {'torch', 'litellm', 'langchain_core', 'llama_index', 'pandas', 'fastapi',\n"
        "         'transformers', 'matplotlib', 'huggingface_hub', 'pydantic'}\n"
        "loaded = heavy & {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded, loaded\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
