"""Prompts of a stream or a file of any length, in the memory of a few."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from routellm_core.data.rows import BadRowCount
from routellm_core.errors import DataError, PromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from routellm_core.data.formats import NumberedRow

__all__ = ["NumberedPrompt", "PromptReader"]


@dataclass(frozen=True, slots=True)
class NumberedPrompt:
    """A prompt and the line it starts on, counted from 1."""

    line: int
    text: str


@dataclass(slots=True)
class PromptReader:
    """Batches of prompts, each of one batch of rows, and a count of rows without a prompt.

    Parameters
    ----------
    rows
        Batches of rows, as `routellm_core.data.rows` reads them.
    prompt_of
        Returns a row's prompt, or raises `DataError`.
    strict
        Whether a row that holds no prompt raises instead of being counted.
    source
        Name of the input, for messages.
    """

    rows: Iterable[list[NumberedRow]]
    prompt_of: Callable[[Mapping[str, Any]], str]
    strict: bool = False
    source: str = "the input"
    n: int = field(default=0, init=False)
    """Rows so far."""
    bad: BadRowCount = field(default_factory=BadRowCount, init=False)
    """Those that hold no prompt."""

    def __iter__(self) -> Iterator[list[NumberedPrompt]]:
        """Yield non-empty batches, in order.

        Raises
        ------
        PromptError
            If `strict` and a row holds no prompt; the prompts before it were yielded.
        DataError
            If no row holds a prompt, or the input cannot be read.
        """
        for rows in self.rows:
            batch: list[NumberedPrompt] = []
            for line, row in rows:
                self.n += 1
                try:
                    if isinstance(row, DataError):
                        raise row
                    batch.append(NumberedPrompt(line, self.prompt_of(row)))
                except DataError as error:
                    if self.strict:
                        if batch:
                            yield batch
                        raise PromptError(
                            f"Line {line} of {self.source} holds no prompt: {error}"
                        ) from None
                    self.bad.add(line, str(error))
            if batch:
                yield batch
        if self.n == self.bad.n:
            why = f" {self.bad.report(self.n)}" if self.n else " It is empty."
            raise DataError(f"No prompts in {self.source}.{why}")
