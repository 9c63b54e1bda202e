import inspect
import re
from pathlib import Path

import pytest
import typer
from rich.cells import cell_len

from routellm_core.cli import app
from routellm_core.cli.reference import reference

COMMANDS = typer.main.get_command(app).commands
PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def words(text: str) -> str:
    """Return the words alone: without frames, line breaks and marks of code."""
    return " ".join(re.sub(r"[^\w\s,.:;'<>/*=-]", " ", text.replace("`", "")).split())


def test_the_page_holds_the_help_of_every_command() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "run `python -m routellm_core.cli.reference > docs/cli.md`"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_says_what_help_says(name: str, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    shown = words(run(name, "--help").stdout)
    command = COMMANDS[name]
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        assert words(paragraph) in shown
    for parameter in (p for p in command.params if not p.hidden):
        assert words(parameter.help) in shown
        assert all(option in shown for option in parameter.opts if option.startswith("-"))


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)])
def test_help_fits_80_columns(arguments: list[str], run) -> None:
    result = run(*arguments, "--help")
    assert result.exit_code == 0
    assert max(cell_len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
