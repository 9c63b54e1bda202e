"""Whether code that a model wrote passes its tests, in a process of its own.

Limits on time, memory and files keep an accident small. They are no sandbox: the code may read what
its user may read, and reach the network. It runs only where somebody said so.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess  # nosec B404
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["code_in", "passes_tests"]

_FENCE = re.compile(r"^```[ \t]*([\w+-]*)[^\n]*$", re.MULTILINE)
_PYTHON = ("", "python", "python3", "py")
_LIMITS = """\
try:
    import resource as _limits
    for _name, _most in (("RLIMIT_CPU", {cpu}), ("RLIMIT_AS", {memory}), ("RLIMIT_FSIZE", {file})):
        _limits.setrlimit(getattr(_limits, _name), (_most, _most))
except (ImportError, ValueError, OSError):
    pass
"""
_MEMORY = 2 * 2**30
_FILE = 16 * 2**20


def passes_tests(answer: str, tests: str, *, timeout_s: float = 20.0) -> bool:
    """Return whether the Python code of an answer runs, and its tests after it.

    Parameters
    ----------
    answer
        Code, or words with fenced blocks of it.
    tests
        Statements that raise where the code is wrong, as `assert add(1, 1) == 2`.
    timeout_s
        For both together.
    """
    mark = secrets.token_hex(16)
    limits = _LIMITS.format(cpu=int(timeout_s) + 1, memory=_MEMORY, file=_FILE)
    # Code that ends the process before its tests has not passed them: the mark comes last.
    script = f"{limits}\n{code_in(answer)}\n{tests}\nprint('\\n{mark}', flush=True)\n"
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, output = Path(folder) / "answer.py", Path(folder) / "output"
        path.write_bytes(script.encode("utf-8", "replace"))
        if _exit_code(path, output, timeout_s=timeout_s) != 0:
            return False
        return output.read_bytes().rstrip().endswith(mark.encode())


def _exit_code(path: Path, output: Path, *, timeout_s: float) -> int | None:
    """Run a script and end whatever it started; None where it did not end by itself."""
    # A file and no pipe: what is printed without end is bounded by the limit on files.
    with output.open("wb") as printed:
        process = subprocess.Popen(  # noqa: S603  # nosec B603
            [sys.executable, "-I", str(path)],
            cwd=path.parent,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def code_in(answer: str) -> str:
    r"""Return the Python code of an answer: its fenced blocks together, else all of it.

    Examples
    --------
    >>> code_in("So:\n```python\nx = 1\n```\nDone.")
    'x = 1'
    """
    parts = _FENCE.split(answer)
    # Text, language, code, language of the closing fence, text, ...
    blocks = [
        parts[i + 1].strip("\n") for i in range(1, len(parts) - 1, 4) if parts[i].lower() in _PYTHON
    ]
    return "\n".join(blocks) if blocks else answer
