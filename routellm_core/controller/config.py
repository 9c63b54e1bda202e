"""Load routers from a configuration as RouteLLM writes it: a mapping, or a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from routellm_core._optional import require
from routellm_core.embedders.loading import load_embedder
from routellm_core.errors import ConfigurationError
from routellm_core.routers import load_router, read_router_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routellm_core.routers.base import Router

__all__ = ["RouterOptions", "load_routers", "read_yaml", "router_options"]

RouterOptions: TypeAlias = Mapping[str, Mapping[str, Any]]
"""For each router's name, what it is loaded with."""

# RouteLLM's words, and those of `load_router`.
_OPTIONS = {
    "checkpoint_path": "checkpoint",
    "arena_battle_datasets": "battles",
    "arena_embedding_datasets": "embeddings",
    "num_tiers": "n_tiers",
}
# What RouteLLM lets one set, and a checkpoint says by itself.
_IN_CHECKPOINT = frozenset(
    {
        "hidden_size", "num_models", "text_dim", "num_classes", "use_proj", "num_labels",
        "model_id", "model_type", "num_outputs", "special_tokens", "flash_attention_2",
    }
)  # fmt: skip

# Options of `load_router` that are a name or a path.
_NAMES = ("checkpoint", "strong_model", "weak_model")


def load_routers(
    names: Iterable[str],
    *,
    config: RouterOptions | str | Path | None = None,
    show_progress: bool = False,
) -> dict[str, Router]:
    """Return the named routers, each loaded once, by the names that requests use.

    Parameters
    ----------
    names
        Names as `load_router` takes them. Requests name a checkpoint by its folder's last part.
    config
        What each is loaded with, or the YAML file that says so. Keys are `load_router`'s, or
        RouteLLM's `checkpoint_path`, and those that a checkpoint says by itself are passed over.
        An embedder may be named as `load_embedder` takes it. A router without an entry is loaded
        as its bare name means it.
    show_progress
        Whether a bar on stderr shows which router is loading.

    Raises
    ------
    UnknownRouterError
        If nobody registered a name.
    ConfigurationError
        If the configuration cannot be used.
    CheckpointError
        If a checkpoint is missing, damaged, unsafe, or another router's.
    """
    if isinstance(names, str):
        names = [names]
    options = router_options(config)
    ordered = list(dict.fromkeys(names))
    if show_progress:
        from rich.progress import track

        ordered_or_bar: Iterable[str] = track(ordered, description="Loading routers")
    else:
        ordered_or_bar = ordered
    loaded: dict[str, Router] = {}
    for name in ordered_or_bar:
        key = read_router_name(name).key
        if key in loaded:
            raise ConfigurationError(
                f"Two of the routers {', '.join(ordered)} would be {key!r} in model names. Give "
                "their folders different names."
            )
        loaded[key] = _load(name, options.get(name, options.get(key, {})))
    return loaded


def router_options(config: RouterOptions | str | Path | None) -> RouterOptions:
    """Return the configuration as a mapping, read from its file if it is the name of one.

    Raises
    ------
    ConfigurationError
        If it is not a mapping of router names to mappings.
    """
    if config is None:
        return {}
    read = read_yaml(config) if isinstance(config, (str, Path)) else config
    if not isinstance(read, Mapping) or not all(
        isinstance(entry, Mapping) for entry in read.values()
    ):
        raise ConfigurationError(
            f"`config` must map router names to their options, got {type(read).__name__}: "
            f"{str(read)[:80]!r}."
        )
    return read


def read_yaml(path: str | Path) -> Any:
    """Return what a YAML file says, without building any object but plain ones.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or is not YAML.
    MissingDependencyError
        If PyYAML is not installed.
    """
    yaml = require("yaml", extra="server")
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{str(path)!r} is not YAML: {_why(error)}.") from error


def _why(error: Any) -> str:
    """Return a YAML error in one line, with the place in the file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _load(name: str, given: Mapping[str, Any]) -> Router:
    options = {
        _OPTIONS.get(key, key): value for key, value in given.items() if key not in _IN_CHECKPOINT
    }
    for key in _NAMES:
        value = options.get(key)
        if value is not None and not isinstance(value, (str, Path)):
            raise ConfigurationError(
                f"Option `{key}` of router {name!r} must be a text, got {value!r}."
            )
    for key in ("battles", "embeddings"):
        if isinstance(options.get(key), list):
            raise ConfigurationError(
                f"Router {name!r} takes one source of {key}, got a list. Make a checkpoint of all "
                f"your battles with `routellm train {name}`, and name it as `checkpoint`."
            )
    if isinstance(options.get("embedder"), str):
        options["embedder"] = load_embedder(options["embedder"])
    return load_router(name, **options)
