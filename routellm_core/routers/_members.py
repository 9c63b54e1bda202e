"""Routers inside another router: their names, and their folders inside the other's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from routellm_core.checkpoints import check_target, notes_folder
from routellm_core.embedders.base import identity_of
from routellm_core.errors import CheckpointError, ConfigurationError, UnknownRouterError
from routellm_core.hub import CheckpointFolder
from routellm_core.routers.base import Router
from routellm_core.routers.embedding import EmbeddingRouter
from routellm_core.routers.loading import load_router, read_router_name
from routellm_core.routers.registry import router_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from routellm_core.embedders.base import Embedder

__all__ = [
    "MEMBERS",
    "embedders_of",
    "load_members",
    "loaded_members",
    "named_members",
    "replaced_members",
]

MEMBERS = "members"
"""The folder, inside an ensemble's, that holds one folder for each member."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_MAX_CONFIG_BYTES = 4 * 2**20


def named_members(members: Mapping[str, Router] | Sequence[Router]) -> dict[str, Router]:
    """Return routers by name; those in a sequence are named by their kind.

    Raises
    ------
    ConfigurationError
        If there is none, one is no router, or a name cannot be a folder's.
    """
    if isinstance(members, (str, Router)) or not isinstance(members, (Mapping, list, tuple)):
        raise ConfigurationError(
            "`members` must be a sequence of routers, or routers by name, got "
            f"{type(members).__name__}."
        )
    for member in members.values() if isinstance(members, Mapping) else members:
        if not isinstance(member, Router):
            raise ConfigurationError(
                f"A member of an ensemble must be a `Router`, got {member!r}. By their names, "
                "`load_router('ensemble', members=[...])` takes routers and checkpoints."
            )
    if not members:
        raise ConfigurationError("An ensemble needs at least one member, got none.")
    named = (
        dict(members)
        if isinstance(members, Mapping)
        else dict(zip(_numbered([member.name for member in members]), members, strict=True))
    )
    _check_names(named)
    return named


def loaded_members(
    members: Mapping[str, str | Router] | Sequence[str | Router],
) -> dict[str, Router] | list[Router]:
    """Return members as `named_members` takes them, after loading those that are only named.

    Raises
    ------
    UnknownRouterError
        If nobody registered a name, and it is no checkpoint.
    """
    if isinstance(members, Mapping):
        return {name: _loaded(member) for name, member in members.items()}
    if not isinstance(members, (list, tuple)):
        return members  # type: ignore[return-value]  # refused by `named_members`
    names = [_short_name(member) for member in members]
    return dict(zip(_numbered(names), map(_loaded, members), strict=True))


def embedders_of(members: Sequence[Router]) -> dict[object, Embedder]:
    """Return the routers' embedders, one for each identity.

    The key is the identity, or, of an embedder that does not say who it is, the `id`.
    """
    found: dict[object, Embedder] = {}
    for member in members:
        several = getattr(member, "embedders", ())
        for embedder in (member.embedder,) if isinstance(member, EmbeddingRouter) else several:
            found.setdefault(identity_of(embedder) or id(embedder), embedder)
    return found


@contextmanager
def replaced_members(
    members: Mapping[str, Router], folder: str | Path
) -> Iterator[list[dict[str, str]]]:
    """Write the members below a folder, and give what its checkpoint records of them.

    All of them are written first. They take the place of those that are there when the `with`
    block, which writes the checkpoint, has ended: until then, and if it fails, the old ones stay.
    """
    folder = check_target(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(dir=folder, prefix=f".{MEMBERS}."))
    try:
        saved = [_saved(name, member, work / "new" / name) for name, member in members.items()]
        yield saved
        if (folder / MEMBERS).exists():
            (folder / MEMBERS).replace(work / "old")
        (work / "new").replace(folder / MEMBERS)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it holds the checkpoint, unless a member was refused
                folder.rmdir()


def load_members(
    folder: CheckpointFolder,
    stated: object,
    *,
    embedders: Sequence[Embedder],
    options: Mapping[str, Any],
) -> dict[str, Router]:
    """Read the members of an ensemble, by name.

    Parameters
    ----------
    folder
        The ensemble's.
    stated
        What its checkpoint records of each: `name`, `router` and `checksum`.
    embedders
        Those that are there already. A member takes the one of the identity that it was fitted
        on, also from a member before it.
    options
        For members that were fitted for a pair of models.

    Raises
    ------
    CheckpointError
        If the record is damaged, or a member is missing, or another than the recorded one.
    UnknownRouterError
        If a member is a router that is not registered here.
    """
    rows = _checked_rows(stated)
    known: dict[object, Embedder] = {
        identity_of(embedder) or id(embedder): embedder for embedder in embedders
    }
    found: dict[str, Router] = {}
    for name, router, checksum in rows:
        inner = CheckpointFolder(folder.path / MEMBERS / name, folder.within)
        text = _config(inner)
        # First of all, which also ends links that lead in a circle.
        if sha256(text).hexdigest() != checksum:
            raise CheckpointError(
                f"Member {name!r} of {str(folder.path)!r} is not the one that was saved there: the "
                "checksum of its config.json does not match. Save the router again."
            )
        try:
            kind = router_class(router)
        except UnknownRouterError as error:
            raise UnknownRouterError(
                f"Member {name!r} of {str(folder.path)!r} cannot be loaded. {error}"
            ) from None
        found[name] = kind._from_folder(inner, **_options(kind, text, known, options))
        known = {**embedders_of([found[name]]), **known}
    return found


def _options(
    kind: type[Router], text: bytes, known: Mapping[object, Embedder], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a member's loading takes: its embedder, and the options where it has a pair."""
    config = json.loads(text)
    chosen = dict(options) if config.get("pair") is not None else {}
    recorded = config.get("embedder")
    if issubclass(kind, EmbeddingRouter):
        # One that records no embedder was fitted on one without an identity.
        unnamed = [each for each in known.values() if identity_of(each) is None]
        embedder = known.get(recorded) if recorded else next(iter(unnamed), None)
        return chosen if embedder is None else {**chosen, "embedder": embedder}
    if hasattr(kind, "embedders"):
        several = [each for key, each in known.items() if key in str(recorded).split(", ")]
        return {**chosen, "embedder": several} if several else chosen
    return chosen


def _checked_rows(stated: object) -> list[tuple[str, str, str]]:
    rows = stated if isinstance(stated, list) else []
    found = [
        (row["name"], row["router"], row["checksum"])
        for row in rows
        if isinstance(row, dict)
        and row.keys() == {"name", "router", "checksum"}
        and all(isinstance(value, str) for value in row.values())
        and _NAME.fullmatch(row["name"])
    ]
    names = {name.casefold() for name, _, _ in found}
    if not found or len(found) != len(rows) or len(names) != len(found):
        raise CheckpointError(
            "The checkpoint must list the name, the router and the checksum of each member, got "
            f"{stated!r}."
        )
    return found


def _saved(name: str, member: Router, folder: Path) -> dict[str, str]:
    try:
        written = member.save(folder)
    except ConfigurationError as error:
        raise ConfigurationError(f"Member {name!r} cannot be saved. {error}") from error
    checksum = sha256(_config(CheckpointFolder(written, written))).hexdigest()
    return {"name": name, "router": member.name, "checksum": checksum}


def _config(folder: CheckpointFolder) -> bytes:
    """Return a checkpoint's config.json, which states the checksums of everything else."""
    notes = notes_folder(folder.path).relative_to(folder.path)
    return folder.read_bytes(str(notes / "config.json"), limit=_MAX_CONFIG_BYTES)


def _loaded(member: str | Router) -> Router:
    return load_router(member) if isinstance(member, str) else member


def _short_name(member: object) -> str:
    if not isinstance(member, str):
        return str(getattr(member, "name", ""))
    name = read_router_name(member)
    return name.key if _NAME.fullmatch(name.key) else name.router or "router"


def _numbered(names: Sequence[str]) -> list[str]:
    """Return the names, of equal ones all but the first with a number."""
    found: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique in found:
            number += 1
            unique = f"{name}-{number}"
        found.append(unique)
    return found


def _check_names(names: Mapping[str, Router]) -> None:
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                "A member's name must be 1 to 64 letters, digits, '.', '_' and '-' that begin with "
                f"a letter or a digit and do not end in '.', got {name!r}."
            )
    # Some file systems do not tell upper from lower case.
    if len({name.casefold() for name in names}) < len(names):
        raise ConfigurationError(
            f"Members' names must differ in more than case, got {', '.join(names)}."
        )
