"""Scores that were computed once, found again by what they depend on.

A cache file holds the win rates of one router's checkpoint on one benchmark's prompts. Its name is
a digest of the checkpoint's checksum, the prompts and the version of this package, so that nothing
stale can be read. Rows that are not scored yet are NaN: an interrupted run resumes there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = ["ScoreCache", "ScoredPrompts", "default_cache_folder", "router_checksum", "score"]

_BATCH = 256
_SAVE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPrompts:
    """Win rates of n prompts.

    Parameters
    ----------
    win_rates
        Shape (n,), before the router's scale.
    n_cached
        How many of them were read from the cache.
    seconds
        What scoring the others took.
    """

    win_rates: WinRates
    n_cached: int
    seconds: float


def default_cache_folder() -> Path:
    """Return the user's cache folder for scores: below XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "routellm" / "scores"


def router_checksum(router: Router) -> str | None:
    """Return the checksum of every file of the router's checkpoint; None if it cannot be saved.

    The checkpoint is written to a temporary folder and removed.
    """
    with TemporaryDirectory() as folder:
        try:
            saved = router.save(Path(folder) / "checkpoint")
        except ConfigurationError:
            return None
        digest = sha256()
        for path in sorted(path for path in saved.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                content = _file_digest(file)
            digest.update(f"{path.relative_to(saved).as_posix()}\0{content}\0".encode())
        return digest.hexdigest()


def _file_digest(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a file, in little memory."""
    digest = sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


class ScoreCache:
    """Win rates in a folder, one file for each router and list of prompts.

    Parameters
    ----------
    folder
        Where the files are; made when the first one is written.
    overwrite
        Names of routers whose files are not read.
    """

    def __init__(self, folder: str | Path, *, overwrite: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        self.overwrite = frozenset(overwrite)

    def path(self, router: str, checksum: str, prompts: Sequence[str]) -> Path:
        """Return the file for a router's checkpoint and prompts, whether it is there or not."""
        digest = sha256(f"{version('routellm-plugins')}\0{checksum}\0".encode())
        for prompt in prompts:
            encoded = prompt.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return self.folder / f"{router}-{digest.hexdigest()[:32]}.npy"

    def read(self, path: Path, *, router: str, n: int) -> WinRates:
        """Return what is known of n win rates, NaN where nothing is."""
        unknown = np.full(n, np.nan)
        if router in self.overwrite:
            return unknown
        try:
            stored = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            # Not there, or cut off by a full disk: scored again either way.
            return unknown
        usable = (
            stored.shape == (n,)
            and stored.dtype == np.float64
            and bool(((stored >= 0.0) & (stored <= 1.0) | np.isnan(stored)).all())
        )
        return stored if usable else unknown

    def write(self, path: Path, win_rates: WinRates) -> None:
        """Replace a file, at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = mkstemp(dir=self.folder, prefix=".", suffix=".npy")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.save(file, win_rates, allow_pickle=False)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def score(
    router: Router,
    prompts: Sequence[str],
    *,
    checksum: str | None = None,
    cache: ScoreCache | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> ScoredPrompts:
    """Return the win rates of prompts, those that the cache knows without asking the router.

    Parameters
    ----------
    router
        Scores 256 prompts at a time.
    prompts
        n prompts.
    checksum
        Of the router's checkpoint; without one nothing is cached.
    cache
        Where win rates are kept. It is written every ten seconds and at the end, an end by an
        error or by Ctrl-C included.
    on_progress
        Called with the number of prompts that are done.
    """
    path = None if cache is None or checksum is None else cache.path(router.name, checksum, prompts)
    win_rates = np.full(len(prompts), np.nan)
    if cache is not None and path is not None:
        win_rates = cache.read(path, router=router.name, n=len(prompts))
    missing = np.flatnonzero(np.isnan(win_rates))
    n_cached = len(prompts) - len(missing)
    began = saved = monotonic()
    try:
        for start in range(0, len(missing), _BATCH):
            rows = missing[start : start + _BATCH]
            win_rates[rows] = router.raw_win_rates([prompts[row] for row in rows])
            if on_progress is not None:
                on_progress(n_cached + start + len(rows))
            if cache is not None and path is not None and monotonic() - saved > _SAVE_EVERY_S:
                cache.write(path, win_rates)
                saved = monotonic()
        seconds = monotonic() - began
    finally:
        if cache is not None and path is not None and missing.size:
            cache.write(path, win_rates)
    if on_progress is not None:
        on_progress(len(prompts))
    return ScoredPrompts(win_rates, n_cached, seconds)
