"""RouteLLM's options: which are taken as they were, and what to use instead of the others."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OPTIONS", "SCRIPTS", "RouteLLMOption", "answer_to", "with_our_names"]


@dataclass(frozen=True, slots=True)
class RouteLLMOption:
    """One option of one of RouteLLM's scripts.

    Parameters
    ----------
    script
        RouteLLM's script, a key of `SCRIPTS`.
    option
        As RouteLLM spells it.
    commands
        Our commands that answer to it.
    here
        Our option of the same meaning, which the old spelling stands for; None where there is none.
    answer
        What to do, in words for an error message and for the migration guide.
    several
        Whether several values may follow, as in `--routers mf bert`.
    """

    script: str
    option: str
    commands: tuple[str, ...]
    here: str | None
    answer: str
    several: bool = False


SCRIPTS = {
    "openai_server": "serve",
    "calibrate_threshold": "calibrate",
    "evals.evaluate": "evaluate",
    "router_chat": "playground",
}
"""RouteLLM's scripts, and our commands in their place."""


def _same(script: str, *options: str, several: bool = False) -> tuple[RouteLLMOption, ...]:
    command = (SCRIPTS[script],)
    return tuple(
        RouteLLMOption(script, option, command, option, "The same.", several) for option in options
    )


def _renamed(script: str, option: str, here: str, *, several: bool = False) -> RouteLLMOption:
    answer = f"`{here}`; the old name is taken, too."
    return RouteLLMOption(script, option, (SCRIPTS[script],), here, answer, several)


def _answered(script: str, option: str, answer: str, *more_commands: str) -> RouteLLMOption:
    return RouteLLMOption(script, option, (SCRIPTS[script], *more_commands), None, answer)


OPTIONS: tuple[RouteLLMOption, ...] = (
    *_same("openai_server", "--verbose", "--workers", "--config", "--port"),
    *_same("openai_server", "--routers", several=True),
    *_same("openai_server", "--base-url", "--api-key", "--strong-model", "--weak-model"),
    _answered(
        "calibrate_threshold",
        "--battles_dataset",
        "Pass the prompts as an argument, a file or a data set's name: `routellm calibrate "
        "PROMPTS`.",
    ),
    _answered(
        "calibrate_threshold",
        "--config",
        "Name the checkpoint: `--router NAME --checkpoint FOLDER`.",
    ),
    _answered(
        "calibrate_threshold", "--routers", "Calibrate one router at a time: `--router NAME`."
    ),
    _renamed("calibrate_threshold", "--strong-model-pct", "--strong-share"),
    _answered(
        "calibrate_threshold",
        "--task",
        "Leave it out: one `routellm calibrate` scores the prompts and finds the threshold.",
    ),
    _renamed("evals.evaluate", "--routers", "--router", several=True),
    _answered(
        "evals.evaluate",
        "--benchmark",
        "Say where the data are: mmlu=PATH, mt_bench=PATH or gsm8k=PATH, where PATH is RouteLLM's "
        "folder of that name in routellm/evals.",
    ),
    _renamed("evals.evaluate", "--output", "--out"),
    *_same("evals.evaluate", "--overwrite-cache", several=True),
    _answered("evals.evaluate", "--parallel", "Leave it out: routers score prompts in batches."),
    _answered(
        "evals.evaluate",
        "--num-results",
        "Leave it out: `--out FOLDER` keeps every point of the curve.",
    ),
    _answered(
        "evals.evaluate",
        "--random-iters",
        "Leave it out: random routing is computed exactly. `--rounds N` is for the intervals.",
    ),
    _answered("evals.evaluate", "--config", "Name the checkpoint: `--router NAME=CHECKPOINT`."),
    *_same("evals.evaluate", "--strong-model", "--weak-model"),
    _answered(
        "router_chat",
        "--model-url",
        "Leave it out: no server is needed. `--base-url URL` is where both models are.",
        "chat",
    ),
    _renamed("router_chat", "--router", "--routers"),
    *_same("router_chat", "--threshold"),
    _answered(
        "router_chat", "--temp", "Leave it out: the models' own default temperature holds.", "chat"
    ),
    _answered(
        "router_chat", "--stop-token-ids", "Leave it out: the models' own stop tokens hold.", "chat"
    ),
    *_same("router_chat", "--host", "--port"),
)
"""Every option of RouteLLM 0.2.0's scripts."""


def answer_to(command: str, option: str) -> str:
    """Return what to do instead of one of RouteLLM's options; "" for any other option.

    Examples
    --------
    >>> answer_to("evaluate", "--parallel")
    'Leave it out: routers score prompts in batches.'
    >>> answer_to("evaluate", "--nonsense")
    ''
    """
    return next(
        (row.answer for row in OPTIONS if command in row.commands and row.option == option), ""
    )


def with_our_names(command: str, arguments: list[str]) -> list[str]:
    """Return a command's arguments with our names in place of RouteLLM's.

    An option that several values may follow is repeated for each of them.

    Examples
    --------
    >>> with_our_names("evaluate", ["--routers", "mf", "bert", "--output=x", "--json"])
    ['--router', 'mf', '--router', 'bert', '--out=x', '--json']
    """
    rows = {row.option: row for row in OPTIONS if command in row.commands and row.here is not None}
    written: list[str] = []
    repeated: str | None = None
    for place, argument in enumerate(arguments):
        if argument == "--":
            return written + arguments[place:]
        name, equals, value = argument.partition("=")
        row = rows.get(name)
        if row is not None:
            assert row.here is not None  # noqa: S101 - for the type checker
            repeated = row.here if row.several and not equals else None
            written += [] if repeated else [row.here + equals + value]
        elif repeated is not None and not argument.startswith("-"):
            written += [repeated, argument]
        else:
            repeated = None
            written.append(argument)
    return written
