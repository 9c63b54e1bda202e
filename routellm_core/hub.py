"""Checkpoints on the Hugging Face Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from routellm_core.errors import CheckpointError, CheckpointNotFoundError, ConfigurationError

__all__ = ["CheckpointFolder", "find_checkpoint"]

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_MAX_TEXT_BYTES = 4 * 2**20
# Weights as safetensors only, and no code: neither can run anything.
_ALLOWED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.md"]


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """A checkpoint on this machine.

    Parameters
    ----------
    path
        The folder that holds its files.
    within
        The folder that its files, after following links, must lie in. The Hub's cache keeps the
        files of a snapshot as links to its folder of blobs.
    """

    path: Path
    within: Path

    def has(self, name: str) -> bool:
        """Say whether the folder holds a file of that name."""
        return (self.path / name).is_file()

    def read_text(self, name: str) -> str:
        """Return a text file of the folder.

        Raises
        ------
        CheckpointNotFoundError
            If it is not there.
        CheckpointError
            If it lies elsewhere, or is no UTF-8 text.
        """
        try:
            return self.read_bytes(name, limit=_MAX_TEXT_BYTES).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{str(self.path / name)!r} is no text: {error}") from error

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        """Return a file of the folder, of at most so many bytes.

        Raises
        ------
        CheckpointNotFoundError
            If it is not there.
        CheckpointError
            If it lies elsewhere, or is larger.
        """
        path = self.path / name
        try:
            resolved = path.resolve(strict=True)
            if not resolved.is_relative_to(self.within.resolve()):
                raise CheckpointError(f"{str(path)!r} leads out of its checkpoint folder.")
            size = resolved.stat().st_size
            if size > limit:
                raise CheckpointError(f"{str(path)!r} has {size} bytes, more than {limit}.")
            return resolved.read_bytes()
        except FileNotFoundError:
            raise CheckpointNotFoundError(f"{str(path)!r} does not exist.") from None
        except OSError as error:
            raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error


def find_checkpoint(source: str | Path, *, revision: str | None = None) -> CheckpointFolder:
    """Return a checkpoint's folder, fetched from the Hub if it is not one already.

    Parameters
    ----------
    source
        A folder, or "owner/name" on the Hugging Face Hub. What is in the Hub's cache is used
        again, and needs no network.
    revision
        A branch, a tag or a commit on the Hub; by default the main branch.

    Raises
    ------
    CheckpointNotFoundError
        If there is no such folder, repository or revision, or the Hub cannot be reached.
    ConfigurationError
        If a revision is asked of a folder.
    """
    path = Path(source)
    if path.exists() or not isinstance(source, str) or not _REPO.fullmatch(source):
        if revision is not None:
            raise ConfigurationError(
                f"`revision` is for repositories on the Hub, and {str(source)!r} is a folder."
            )
        if not path.exists() and isinstance(source, str) and source.count("/") < 1:
            raise CheckpointNotFoundError(
                f"{source!r} does not exist. A checkpoint is a folder with config.json and "
                "model.safetensors, or 'owner/name' on the Hugging Face Hub."
            )
        return CheckpointFolder(path, path)
    return _fetched(source, revision)


def _fetched(repository: str, revision: str | None) -> CheckpointFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        path = Path(snapshot_download(repository, revision=revision, allow_patterns=_ALLOWED))
    except GatedRepoError as error:
        raise CheckpointNotFoundError(
            f"{repository!r} asks for its conditions to be accepted on the Hugging Face Hub. Accept"
            " them there, then log in with `hf auth login` or set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{repository!r} is neither a folder here nor a repository on the Hugging Face Hub that"
            " you may read. Check the name; for a private one, log in with `hf auth login` or set "
            "HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{repository!r} has no revision {revision!r}. Without `revision` the main branch is "
            "read."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        raise CheckpointNotFoundError(
            f"{repository!r} is not in the Hub's cache, and the Hugging Face Hub cannot be reached."
            f" Where it can be, run `hf download {repository}`, and pass the folder that it prints."
        ) from error
    except HFValidationError as error:
        raise CheckpointNotFoundError(f"{repository!r} is no repository's name: {error}") from error
    # .../models--owner--name/snapshots/<commit>
    return CheckpointFolder(path, path.parent.parent)
