"""Every paid call on disk before the next begins, so that no interruption pays for it again."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.calls import Reply

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Journal"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class Journal:
    """An append-only file of calls, readable by its owner only.

    A call is noted before it is sent and again when its answer has come, each in one write. After a
    kill the answers that were noted are there; calls that were sent and never answered may have
    been paid, so their price stays counted as spent. The file holds answers, and no prompts.

    Parameters
    ----------
    path
        Of the file; its folder must exist.

    Raises
    ------
    ConfigurationError
        If its folder does not exist, or another process is writing it.
    DataError
        If it is no journal.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._replies: dict[str, Reply] = {}
        self._open: dict[str, float] = {}
        self._lost_usd = 0.0
        if not self.path.absolute().parent.is_dir():
            raise ConfigurationError(
                f"The folder of {str(self.path)!r} does not exist. Make it first."
            )
        self._file = os.open(self.path, _FLAGS, 0o600)
        try:
            _lock(self._file, self.path)
            self._load()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._replies)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def reply(self, key: str) -> Reply | None:
        """Return the answer to a call; None when there is none yet."""
        return self._replies.get(key)

    @property
    def spent_usd(self) -> float:
        """What answers cost, and what calls that were never answered may have cost."""
        known = math.fsum(
            reply.cost_usd for reply in self._replies.values() if not math.isnan(reply.cost_usd)
        )
        return known + self._lost_usd + math.fsum(self._open.values())

    def sent(self, key: str, *, most_usd: float) -> None:
        """Note that a call is about to be sent, and the most that it can cost."""
        self._append({"sent": key, "usd": most_usd})
        self._lost_usd += self._open.pop(key, 0.0)
        self._open[key] = most_usd

    def answered(self, key: str, reply: Reply) -> None:
        """Note an answer, on the disk when this returns."""
        usd = None if math.isnan(reply.cost_usd) else reply.cost_usd
        self._append(
            {
                "key": key, "text": reply.text, "in": reply.input_tokens,
                "out": reply.output_tokens, "usd": usd,
            }
        )  # fmt: skip
        os.fsync(self._file)
        self._open.pop(key, None)
        self._replies[key] = reply

    def failed(self, key: str, *, maybe_paid: bool) -> None:
        """Note that a call failed; unless it may have been paid, its price is free again."""
        self._append({"failed": key, "maybe_paid": maybe_paid})
        usd = self._open.pop(key, 0.0)
        self._lost_usd += usd if maybe_paid else 0.0

    def _append(self, values: dict[str, Any]) -> None:
        raw = json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"
        end = os.fstat(self._file).st_size
        try:
            while raw:
                raw = raw[os.write(self._file, raw) :]
        except OSError as error:
            # Half a line, as of a full disk, would damage the next one.
            os.ftruncate(self._file, end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def _load(self) -> None:
        raw = self.path.read_bytes()
        *lines, torn = raw.split(b"\n")
        if torn:  # a kill within a write
            os.ftruncate(self._file, len(raw) - len(torn))
        for number, line in enumerate(lines, start=1):
            try:
                self._replay(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{str(self.path)!r} is no journal of answers: line {number} is damaged "
                    f"({error}). Move it away to start anew."
                ) from error

    def _replay(self, values: dict[str, Any]) -> None:
        if "sent" in values:
            key = values["sent"]
            self._lost_usd += self._open.pop(key, 0.0)
            self._open[key] = float(values["usd"])
        elif "failed" in values:
            usd = self._open.pop(values["failed"], 0.0)
            self._lost_usd += usd if values["maybe_paid"] else 0.0
        else:
            usd = math.nan if values["usd"] is None else float(values["usd"])
            self._open.pop(values["key"], None)
            self._replies[values["key"]] = Reply(
                str(values["text"]), values["in"], values["out"], usd
            )


def _lock(file: int, path: Path) -> None:
    """Keep a second process from paying for the same calls; the lock ends with the process."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigurationError(
            f"{str(path)!r} is in use: another run is labelling into it. Wait for its end, or "
            "write to another file."
        ) from error
