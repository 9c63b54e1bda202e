from collections.abc import Callable, Sequence

import pytest
from typer.testing import CliRunner, Result

from routellm_core.cli import app

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def routed(run: Run) -> Callable[[Sequence[str]], Result]:
    """Run `routellm route` with the router that needs no weights."""
    return lambda *arguments, **options: run("route", "--router", "random", *arguments, **options)
