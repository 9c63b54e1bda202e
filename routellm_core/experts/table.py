"""The models that a call may go to, in one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.experts.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Expert", "ExpertTable"]

_PAIR = ("weak", "strong")


@dataclass(frozen=True, slots=True)
class Expert:
    """A model under the name by which calls are routed to it.

    Parameters
    ----------
    name
        The route: "strong", "weak", or any other name without blanks around it.
    model
        The model's own name, for records and prices.
    capabilities
        What the model can take.
    """

    name: str
    model: str
    capabilities: Capabilities = field(default_factory=Capabilities)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name != self.name.strip():
            raise ConfigurationError(
                f"An expert's name must be a text without blanks around it, got {self.name!r}."
            )


class ExpertTable:
    """Experts in the order of their price, the cheapest first.

    The last is the reference: what savings are measured against. A pair of models is the table of
    the experts "weak" and "strong", in this order.

    Parameters
    ----------
    experts
        At least one; their names differ.

    Raises
    ------
    ConfigurationError
        If there is none, or two have one name.

    Examples
    --------
    >>> table = ExpertTable.of_pair(strong_model="gpt-4o", weak_model="gpt-4o-mini")
    >>> table.names, table.reference.model, table.is_pair
    (('weak', 'strong'), 'gpt-4o', True)
    >>> table.after("weak")
    ('strong',)
    """

    __slots__ = ("_after", "_by_name", "_experts", "cheapest", "is_pair", "names", "reference")

    def __init__(self, experts: Iterable[Expert]) -> None:
        self._experts = tuple(experts)
        if not self._experts:
            raise ConfigurationError("At least one expert is needed, got none.")
        self.names = tuple(expert.name for expert in self._experts)
        """The experts' names, in the table's order."""
        self._by_name = dict(zip(self.names, self._experts, strict=True))
        if len(self._by_name) < len(self._experts):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigurationError(f"Two experts have the name {twice!r}; names must differ.")
        self._after = {name: self.names[n + 1 :] for n, name in enumerate(self.names)}
        self.cheapest = self._experts[0]
        self.reference = self._experts[-1]
        self.is_pair = self.names == _PAIR
        """Whether these are the experts "weak" and "strong", between which a win rate decides."""

    @classmethod
    def of_pair(
        cls,
        *,
        strong_model: str,
        weak_model: str,
        strong: Capabilities | None = None,
        weak: Capabilities | None = None,
    ) -> ExpertTable:
        """Return the table of a strong and a weak model.

        Parameters
        ----------
        strong_model, weak_model
            The models' names.
        strong, weak
            What they can take; None when nothing is known.
        """
        return cls(
            (
                Expert("weak", weak_model, weak or Capabilities()),
                Expert("strong", strong_model, strong or Capabilities()),
            )
        )

    @property
    def small_window(self) -> int | None:
        """The smallest of the context windows, in tokens, as far as they are known."""
        windows = [expert.capabilities.context_window for expert in self._experts]
        return min((window for window in windows if window is not None), default=None)

    def after(self, name: str) -> tuple[str, ...]:
        """Return the names of the experts that follow this one in the table."""
        return self._after[name]

    def check(self, name: str, *, argument: str = "expert") -> str:
        """Return the name of an expert.

        Raises
        ------
        ConfigurationError
            If no expert has it.
        """
        if name not in self._by_name:
            hint = did_you_mean(name, list(self.names)) if isinstance(name, str) else ""
            raise ConfigurationError(
                f"`{argument}` must be one of {', '.join(map(repr, self.names))}, got {name!r}."
                f"{hint}"
            )
        return name

    def __getitem__(self, name: str) -> Expert:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Expert]:
        return iter(self._experts)

    def __len__(self) -> int:
        return len(self._experts)

    def __repr__(self) -> str:
        shown = ", ".join(f"{expert.name}={expert.model!r}" for expert in self._experts)
        return f"ExpertTable({shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpertTable) and self._experts == other._experts

    def __hash__(self) -> int:
        return hash(self._experts)
