"""One way to name a router, everywhere: registered, a folder, on the Hub, or a name with either."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from routellm_core.checkpoints import FORMAT, notes_folder
from routellm_core.errors import CheckpointError, CheckpointNotFoundError, ConfigurationError
from routellm_core.hub import find_checkpoint
from routellm_core.routers.registry import is_registered, router_class

if TYPE_CHECKING:
    from routellm_core.routers.base import Router

__all__ = ["RouterName", "check_router", "checkpoint_router", "load_router", "read_router_name"]

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))
_MAX_CONFIG_BYTES = 4 * 2**20
# What transformers calls the two kinds of model that RouteLLM published.
_ARCHITECTURES = {"ForSequenceClassification": "bert", "ForCausalLM": "causal_llm"}


class RouterName(NamedTuple):
    """What a router's name means."""

    router: str | None
    """The registered name; None when the checkpoint says which router it is."""
    checkpoint: str | None
    """A folder, or "owner/name" on the Hub; None for the router's default."""
    key: str
    """A short name, as for "router-KEY-0.5": the registered one, or the checkpoint's last part."""


def read_router_name(name: str) -> RouterName:
    """Return what a router's name means, without opening a checkpoint.

    The first of these that applies: a registered name; a folder that exists; "NAME=CHECKPOINT"
    with a registered name; a path, or "owner/name" on the Hugging Face Hub.

    Raises
    ------
    UnknownRouterError
        If it is none of them.

    Examples
    --------
    >>> read_router_name("mlp=./trained/a")
    RouterName(router='mlp', checkpoint='./trained/a', key='mlp')
    """
    if is_registered(name):
        return RouterName(name, None, name)
    head, equals, checkpoint = name.partition("=")
    if equals and not _is_folder(name):
        router_class(head)
        return RouterName(head, checkpoint, head)
    if _is_folder(name) or any(mark in name for mark in ("/", *_SEPARATORS)):
        return RouterName(None, name, Path(name).expanduser().resolve().name)
    router_class(name)  # which nobody registered: it says so
    return RouterName(name, None, name)


def check_router(name: str) -> None:
    """Refuse a router's name that cannot be loaded, as far as that shows without a network.

    Raises
    ------
    UnknownRouterError
        If nobody registered it, and it is no checkpoint.
    CheckpointError
        If it is a folder without a checkpoint, or a path to nothing.
    """
    read = read_router_name(name)
    checkpoint = read.checkpoint
    if checkpoint is None:
        router_class(name)
        return
    _check_path(checkpoint)
    if _is_folder(checkpoint):
        router_class(read.router or checkpoint_router(checkpoint))


def checkpoint_router(checkpoint: str | Path, *, revision: str | None = None) -> str:
    """Return the registered name of the router that a checkpoint holds.

    Parameters
    ----------
    checkpoint
        A folder, or "owner/name" on the Hub.
    revision
        A branch, a tag or a commit on the Hub.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or it does not say what it is.
    """
    found = find_checkpoint(_expanded(checkpoint), revision=revision)
    notes = notes_folder(found.path).relative_to(found.path)
    text = found.read_bytes(str(notes / "config.json"), limit=_MAX_CONFIG_BYTES)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{str(checkpoint)!r} has a config.json that is no JSON.") from error
    if isinstance(config, dict):
        if config.get("format") == FORMAT and isinstance(config.get("router"), str):
            return str(config["router"])
        # RouteLLM's published checkpoints state no router.
        for ending, router in _ARCHITECTURES.items():
            if any(str(name).endswith(ending) for name in config.get("architectures") or ()):
                return router
        if "num_models" in config:
            return "mf"
    raise CheckpointError(
        f"{str(checkpoint)!r} does not say which router it is. Name it as 'NAME=CHECKPOINT'."
    )


def load_router(name: str, *, checkpoint: str | Path | None = None, **options: Any) -> Router:
    """Return a ready router.

    Parameters
    ----------
    name
        A registered name, which `router_names` lists; a checkpoint's folder, or "owner/name" on
        the Hugging Face Hub, which says itself which router it is; or "NAME=CHECKPOINT".
    checkpoint
        The checkpoint, where `name` is only a registered name. Without one the router's default
        is returned: for "mf" the bundled checkpoint.
    options
        Passed to the router, for "mf" for example `strong_model` and `weak_model`; `revision` for
        the Hub.

    Raises
    ------
    UnknownRouterError
        If nobody registered the name, and it is no checkpoint.
    CheckpointError
        If the checkpoint is missing, damaged, unsafe, or another router's.
    ConfigurationError
        If an option is not one of the router's, or has a wrong value.

    Examples
    --------
    >>> load_router("random", seed=7).seed
    7
    """
    registered: str | None = name
    if checkpoint is None:
        registered, checkpoint, _ = read_router_name(name)
        _check_path(checkpoint or "")
    if registered is None:
        assert checkpoint is not None  # noqa: S101 - for the type checker
        registered = checkpoint_router(checkpoint, revision=options.get("revision"))
    found = router_class(registered)
    try:
        if checkpoint is None:
            return found.default(**options)
        return found.load(_expanded(checkpoint), **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise ConfigurationError(f"Router {registered!r}: {error}.") from error


def _check_path(checkpoint: str) -> None:
    """Refuse a path to nothing; what may be a name on the Hub passes."""
    if checkpoint.startswith((".", "~", *_SEPARATORS)) and not _is_folder(checkpoint):
        raise CheckpointNotFoundError(
            f"{checkpoint!r} does not exist, or is not a folder. Name a folder that a router was "
            "saved to."
        )


def _is_folder(text: str) -> bool:
    return bool(text) and Path(text).expanduser().is_dir()


def _expanded(checkpoint: str | Path) -> str | Path:
    """Return "~/router" as a path, and anything else as it is."""
    home = isinstance(checkpoint, str) and checkpoint.startswith("~")
    return str(Path(checkpoint).expanduser()) if home else checkpoint
